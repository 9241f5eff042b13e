"""Combine several sources into one trusted price history."""
