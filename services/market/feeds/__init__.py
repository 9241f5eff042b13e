"""Feeds: each source's latest data of each symbol, in memory and in the store, updated on demand."""
