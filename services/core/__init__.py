"""Shared values and helpers: errors, prices, sessions, the clock. No I/O, no environment."""
