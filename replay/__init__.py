"""Recorded days: import, record, replay, simulate, report."""
