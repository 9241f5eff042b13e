"""A Slack workspace in memory, served on the loopback address."""
