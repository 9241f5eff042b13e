"""End to end: the real process, a stand-in for Slack written by others, and a real browser."""
