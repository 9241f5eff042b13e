"""Answers from history: attribution, backtests, tuning, drawdowns, holdings and reports."""
