"""Measured ratios, each against the cheapest thing that could do the same; `make bench`."""
