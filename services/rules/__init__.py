"""Alert rules: grammar, evaluation, replay, and the market as rules see it."""
