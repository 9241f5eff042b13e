"""Rules: their grammar, their evaluation live and in replay, and the market as they see it."""
