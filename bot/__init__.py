"""MinerPulse."""
