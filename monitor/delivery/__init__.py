"""Alerts that reach somebody: from the committed alerts topic to each receiver."""
