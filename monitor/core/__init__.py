"""The engine: a pure function of the set of records. No clock, no I/O, no logging in here."""

ENGINE_VERSION = "0.8.0"
"""Stands in every alert. It rises when the same records may give other findings, numbers or fields,
and not with each release: an alert can be compared byte for byte as long as it stays."""
