"""MinerPulse as a wheel installs it: one top-level package, with the app's packages beneath it."""
