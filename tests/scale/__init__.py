"""One market move in very many channels, delivered by several workers."""
