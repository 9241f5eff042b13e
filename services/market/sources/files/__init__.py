"""Readers of price, holdings and cohort files (CSV)."""
