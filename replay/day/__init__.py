"""The recorded day: the records of a feed in a folder, written once, read in the order of time."""

from replay.day.layout import DayError, DayMeta, DaySpan
from replay.day.reader import Day
from replay.day.writer import DayWriter

__all__ = ["Day", "DayError", "DayMeta", "DaySpan", "DayWriter"]
