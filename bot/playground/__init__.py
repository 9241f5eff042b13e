"""A playground in the browser: the real app behind a third-party Slack emulator."""
