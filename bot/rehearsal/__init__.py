"""Rehearsal: a local channel on an accelerated clock, where only Slack is fake."""
