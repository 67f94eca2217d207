"""Drift: numbers of a market that stay off their usual for hours."""
