"""The ground floor: pure values and functions, with no I/O, no clock, no environment and no logging."""
