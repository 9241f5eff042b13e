"""A fake Slack: a workspace in memory, served on the loopback address."""
