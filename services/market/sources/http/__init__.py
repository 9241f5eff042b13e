"""The HTTP client and what vendor modules share."""
