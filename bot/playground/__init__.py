"""A playground in the browser: a Slack on this machine, written by others, with the real app behind it."""
