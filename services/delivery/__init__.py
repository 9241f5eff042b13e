"""Make Slack show what the store says it should."""
