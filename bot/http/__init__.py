"""The HTTP server: verifies Slack's requests, and serves OAuth and health endpoints."""
