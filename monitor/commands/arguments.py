"""Arguments of commands that are more than a number or a path."""

from __future__ import annotations

from datetime import UTC, datetime

from monitor.core.contract.units import SECOND_NS
from monitor.errors import ConfigError


def parse_time(text: str | None, option: str) -> int | None:
    """A moment as ISO 8601 (UTC unless it says otherwise) or ns since 1970, in ns.

    option: what the user wrote it after, for the error.
    """
    if text is None:
        return None
    if text.isdecimal():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} {text!r} is no moment: write 2025-11-24T14:03:07Z, or ns since 1970"
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return seconds * SECOND_NS + moment.microsecond * 1000


def parse_speed(text: str) -> float | None:
    """Event seconds a second; None for `max`, as fast as it goes."""
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(f"--speed {text!r}: give a number above 0 (1 is as it was), or max")
    return speed


def parse_shocks(texts: list[str]) -> list[float]:
    """Moves of a mark, as `-10%` or as the fraction -0.1: above −1, and not 0."""
    shocks = [_parse_fraction(text) for text in texts]
    for text, shock in zip(texts, shocks, strict=True):
        if shock is None or not -1 < shock < float("inf") or shock == 0:
            raise ConfigError(f"--shock {text!r}: give a move such as -10% or 0.05, above -100%")
    return [shock for shock in shocks if shock is not None]


def parse_survives(text: str) -> list[float]:
    """Shares of the book that are still there, above 0 and at most 1, separated by commas."""
    shares = [_parse_fraction(part) for part in text.split(",")]
    if any(share is None or not 0 < share <= 1 for share in shares):
        raise ConfigError(f"--depth-survives {text!r}: give shares such as 1,0.3,0.1")
    return [share for share in shares if share is not None]


def _parse_fraction(text: str) -> float | None:
    """A fraction, or a number of percent; None: neither."""
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None


def parse_options(pairs: list[str]) -> dict[str, str]:
    """NAME=VALUE pairs, by name."""
    parts = [pair.partition("=") for pair in pairs]
    if not all(equals for _, equals, _ in parts):
        raise ConfigError("--option takes NAME=VALUE")
    return {name: value for name, _, value in parts}
