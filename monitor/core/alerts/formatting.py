"""Numbers, times and lists as people write them: for sentences, tables and command lines."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from monitor.core.contract.units import DAY_S, HOUR_S, SECOND_NS

NAME_MAX = 24
"""Characters of a name in a sentence."""
LIST_MAX = 4
"""Members of a list in a sentence; a longer list says how many are left out."""


def format_number(value: float, places_max: int = 6) -> str:
    """A number with three digits, or thousands in groups.

    >>> format_number(4.1234), format_number(82), format_number(1_345_000)
    ('4.12', '82', '1,345,000')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, places_max)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_price(value: float) -> str:
    """A price as `format_number` writes it, however low.

    >>> format_price(4.244e-7)
    '0.000000424'
    """
    return format_number(value, 18)


def format_percent(share: float) -> str:
    """A share of one in whole percent.

    >>> format_percent(0.614)
    '61 %'
    """
    return f"{100 * share:.0f} %"


def format_move(fraction: float) -> str:
    """A move as a fraction of the price, with its sign.

    >>> format_move(-0.0413), format_move(0.2)
    ('−4.1 %', '+20 %')
    """
    size = format_number(float(f"{100 * abs(fraction):.2g}"))
    return f"{'−' if fraction < 0 else '+'}{size} %"


def format_amount(amount: float) -> str:
    """Money, with two digits and its thousands, millions or billions.

    >>> format_amount(38_400_000), format_amount(1_240_000_000), format_amount(990)
    ('38 M', '1.2 bn', '990')
    """
    short = float(f"{amount:.2g}")
    for unit, name in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(short) >= unit:
            return f"{format_number(short / unit)}{name}"
    return format_number(short)


def format_duration(seconds: float) -> str:
    """A length of time.

    >>> format_duration(12), format_duration(185), format_duration(7500)
    ('12 s', '3 min 5 s', '2 h 5 min')
    """
    if seconds < 120:
        return f"{format_number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def rarity(days: float, seen_days: float | None = None) -> str:
    """How often chance alone does this, once in `days` days on average. `seen_days`: how long was
    watched to learn it; what comes less often is rarer than anything seen. None: not said.

    >>> rarity(40.2), rarity(0.1), rarity(40.2, 0.0085)
    ('once in 40 days', '10 times a day', 'rarer than anything in the 12 min seen')
    """
    if seen_days is not None and days >= seen_days:
        return f"rarer than anything in the {format_span(seen_days * DAY_S)} seen"
    if days >= 1.5:
        return f"once in {format_number(round(days) if days < 100 else float(f'{days:.2g}'))} days"
    if days >= 0.67:
        return "once a day"
    return f"{format_number(float(f'{1 / days:.2g}'))} times a day"


def format_span(seconds: float) -> str:
    """A length of time in its largest unit.

    >>> format_span(754), format_span(50_000), format_span(172_800)
    ('12 min', '13 h', '2 days')
    """
    for unit, name in ((DAY_S, "days"), (HOUR_S, "h"), (60.0, "min")):
        if seconds >= 2 * unit or (name == "min" and seconds >= 60.0):
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"


def short_name(name: str) -> str:
    """A name for a sentence: of a long one (an address) both ends.

    >>> short_name("SOL-PERP"), short_name("0x52908400098527886e0f7030069857d2e4169ee7")
    ('SOL-PERP', '0x529084…169ee7')
    """
    return name if len(name) <= NAME_MAX else f"{name[:8]}…{name[-6:]}"


def clock(ns: int) -> str:
    """The time of day in UTC: `16:03:07`."""
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).strftime("%H:%M:%S")


def format_iso(ns: int) -> str:
    """A moment as the command line takes it: `2025-11-24T16:03:07Z`."""
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def join_list(phrases: list[str]) -> str:
    """A list in a sentence.

    >>> join_list(["a", "b"]), join_list(["a", "b", "c"])
    ('a and b', 'a, b, and c')
    """
    if len(phrases) < 3:
        return " and ".join(phrases)
    return ", ".join(phrases[:-1]) + f", and {phrases[-1]}"


def shorten_list(phrases: list[str]) -> list[str]:
    """At most `LIST_MAX` members, of which the last says how many are left out.

    >>> shorten_list(["a", "b", "c", "d", "e"])
    ['a', 'b', 'c', '2 more']
    """
    if len(phrases) <= LIST_MAX:
        return phrases
    return [*phrases[: LIST_MAX - 1], f"{len(phrases) - LIST_MAX + 1} more"]


def capitalize(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]
