"""Errors that a user can mend. Each message says how."""

from __future__ import annotations


class BrinkwatchError(Exception):
    """The job failed: exit status 1."""


class ConfigError(BrinkwatchError):
    """Wrong usage or configuration: exit status 2."""
