"""The Slack edge: parse requests, render messages, deliver them."""
