"""Research on price history: attribution, backtests, tuning, drawdowns, holdings and reports."""
