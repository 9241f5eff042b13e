"""Prices, holdings and cohorts from CSV files."""
