"""Rehearse: a channel on this machine, with a clock that runs ahead and everything real but Slack itself."""
