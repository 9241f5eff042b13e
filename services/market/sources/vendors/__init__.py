"""One module per data vendor."""
