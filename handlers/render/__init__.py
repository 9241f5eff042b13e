"""Render Slack messages, views, pictures and pages from values, without I/O or decisions."""
