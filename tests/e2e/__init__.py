"""End-to-end tests: the real process, a third-party Slack emulator and a real browser."""
