"""Market data: fetch, cross-check, align and measure the prices of a pair."""
