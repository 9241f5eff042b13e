"""The commands of the terminal, imported on use."""
