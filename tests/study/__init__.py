"""Simulations and counts that show whether the statistics keep their claims: `make study`. Not part of the tests."""
