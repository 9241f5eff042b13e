"""Price and network data sources: vendors (one catalogue row each), price files and the simulated market."""
