"""Feeds: what one source tells of each symbol, in memory and in the store, brought up to date on demand."""
