"""What a user chooses of a day: markets and a span of time, checked against what is in it."""

from __future__ import annotations

from collections.abc import Collection

from monitor.core.alerts.formatting import format_iso, join_list
from monitor.errors import ConfigError, nearest_name
from replay.day import Day
from replay.day.sequence import DaySequence


def check_span(day: Day | DaySequence, low: int | None, high: int | None) -> None:
    """Raise `ConfigError` where --from or --to (ns) choose nothing of the day."""
    span = day.span
    if span is None or (low is None and high is None):
        return
    goes = f"the day goes from {format_iso(span.first_ts)} to {format_iso(span.end_ts)}"
    if low is not None and high is not None and low > high:
        raise ConfigError(f"--from {format_iso(low)} is after --to {format_iso(high)}: {goes}")
    if low is not None and low > span.end_ts:
        raise ConfigError(f"--from {format_iso(low)} is after the day: {goes}")
    if high is not None and high < span.first_ts:
        raise ConfigError(f"--to {format_iso(high)} is before the day: {goes}")


def check_selection(
    day: Day | DaySequence, symbols: Collection[str], low: int | None, high: int | None
) -> str | None:
    """What is empty in a choice of markets (none: all) and of times (ns), as a sentence; None where
    nothing is. Raises `ConfigError` where a market or a time is not of the day.
    """
    check_span(day, low, high)
    if not symbols and low is None and high is None:
        return None
    every = day.count_by_market()
    for symbol in sorted(set(symbols) - set(every)):
        mend = nearest_name(symbol, sorted(every)) if every else "it has no markets"
        raise ConfigError(f"--symbol {symbol}: the day has no record of it; {mend}")
    inside = day.count_by_market(low, high)
    empty = sorted(symbol for symbol in symbols or every if not inside[symbol])
    if symbols and empty:
        return f"no record of {join_list(empty)} in the time that was chosen"
    return None if inside else "no record of any market in the time that was chosen"
