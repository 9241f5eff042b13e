"""Fetch: where prices come from. `catalogue` has the vendors, one row each; `files` reads price files."""
