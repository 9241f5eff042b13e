"""The HTTP client and code shared by the vendor modules."""
