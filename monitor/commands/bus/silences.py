"""`brinkwatch silence add`, `list` and `expire`."""

from __future__ import annotations

import re
import time
from typing import Any

from pydantic import ValidationError

from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.units import DAY_NS, DAY_S, SECOND_NS
from monitor.errors import ConfigError, nearest_name
from monitor.kafka.clients import run_async
from monitor.silences.silence import (
    MATCHERS,
    AlertSilence,
    alert_kinds,
    check_kinds,
    moment_ns,
    moment_text,
)
from monitor.silences.topic import LEAD_S, ByName, publish_silences, read_silences

KEPT_DAYS = 90
"""A silence that ended longer ago leaves the topic when another is added."""
SILENCES_MAX = 1_000
"""Each alert is compared with all of them."""
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": DAY_S}


def add_silence(
    config: Config,
    name: str,
    matchers: list[str],
    span: tuple[str | None, str | None, str | None],
    reason: str,
    console: Console,
) -> dict[str, Any]:
    """Publish a silence to the running sidecar. `matchers`: texts as kind=thin_book. `span`: when
    it begins, when it ends, and how long it lasts, as the user wrote them."""
    now_ns = time.time_ns()
    start_ns, end_ns = _read_span(*span, now_ns)
    span_text = moment_text(start_ns), moment_text(end_ns)
    silence = _parse_silence(config, name, matchers, span_text, reason)
    before = run_async(read_silences(config))
    if name in before or any(name == one.name for one in config.silences):
        raise ConfigError(f"there is a silence {name} already: give this one another name")
    old = [n for n, one in before.items() if one.span_ns[1] < now_ns - KEPT_DAYS * DAY_NS]
    if len(before) - len(old) >= SILENCES_MAX:
        raise ConfigError(
            f"there are {SILENCES_MAX:,} silences, and one leaves {KEPT_DAYS} days after its end: "
            "cover more with each, by patterns such as kind=stale_*"
        )
    run_async(publish_silences(config, {**dict.fromkeys(old), name: silence}))
    console.say(
        f"{name} silences {silence.describe()} from {silence.start} to {silence.end}; the alerts "
        "are published all the same, with its name in them"
    )
    return silence.model_dump(mode="json")


def _read_span(
    start: str | None, end: str | None, length: str | None, now_ns: int
) -> tuple[int, int]:
    """Event times between which it holds, ns, in whole seconds."""
    if (end is None) == (length is None):
        raise ConfigError("say when the silence ends: --end 2026-01-06T04:00:00Z, or --for 2h")
    first_ns = (now_ns // SECOND_NS + 1) * SECOND_NS + round(LEAD_S * SECOND_NS)
    start_ns = first_ns if start is None else _read_moment(start, "--start")
    if start_ns < first_ns:
        raise ConfigError(
            f"--start {start} is past: what is published stays as it was. Leave it out to begin now"
        )
    if end is not None:
        return start_ns, _read_moment(end, "--end")
    fits = re.fullmatch(r"([0-9]{1,6})([smhd])", length or "")
    if fits is None or not int(fits[1]):
        raise ConfigError(f"--for {length!r} is no length of time: write 30m, 2h or 1d")
    return start_ns, start_ns + int(fits[1]) * UNITS_S[fits[2]] * SECOND_NS


def _read_moment(text: str, option: str) -> int:
    try:
        return moment_ns(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from error


def _parse_silence(
    config: Config, name: str, matchers: list[str], span: tuple[str, str], reason: str
) -> AlertSilence:
    (start, end), patterns = span, dict[str, list[str]]()
    for matcher in matchers:
        key, equals, pattern = matcher.partition("=")
        if not equals or key not in MATCHERS:
            mend = nearest_name(key, MATCHERS)
            raise ConfigError(f"--match {matcher!r}: write kind=thin_book or symbol=BTC-*; {mend}")
        patterns.setdefault(key, []).append(pattern)
    try:
        silence = AlertSilence(name=name, start=start, end=end, reason=reason, **patterns)  # type: ignore[arg-type]
        check_kinds([silence], alert_kinds(config))
    except ValidationError as error:
        fault = error.errors()[0]
        key = f"{fault['loc'][0]}: " if fault["loc"] else ""
        raise ConfigError(key + str(fault["msg"]).removeprefix("Value error, ")) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return silence


def list_silences(config: Config, console: Console) -> dict[str, Any]:
    """Show every silence, of the configuration and of the topic, and whether it is in force."""
    now_ns = time.time_ns()
    by_name: ByName = {one.name: one for one in config.silences}
    configured = len(by_name)
    for name, one in sorted(run_async(read_silences(config)).items()):
        by_name.setdefault(name, one)
    states = {name: _state(one, now_ns) for name, one in by_name.items()}
    rows = [
        [
            states[name], name, one.describe(), one.start, one.end, one.weekly,
            "configuration" if n < configured else "topic", one.reason,
        ]
        for n, (name, one) in enumerate(by_name.items())
    ]  # fmt: skip
    head = ["state", "silence", "covers", "from", "to", "weekly, UTC", "set in", "reason"]
    in_force = sum(state == "in force" for state in states.values())
    console.table(f"{in_force} of {len(rows)} silences are in force", head, rows)
    return {
        "silences": [
            {**one.model_dump(mode="json"), "state": states[name]} for name, one in by_name.items()
        ]
    }


def _state(silence: AlertSilence, now_ns: int) -> str:
    start, end = silence.span_ns
    if now_ns >= end:
        return "expired"
    if now_ns < start:
        return "to come"
    return "in force" if silence.is_in_force(now_ns) else "waits for its window"


def expire_silence(config: Config, name: str, console: Console) -> dict[str, Any]:
    """End a silence of the topic now."""
    before = run_async(read_silences(config))
    silence = before.get(name)
    if silence is None:
        if any(name == one.name for one in config.silences):
            raise ConfigError(f"the silence {name} is set in the configuration: take it out there")
        none = "`brinkwatch silence list` shows what there is"
        raise ConfigError(f"there is no silence {name}: {nearest_name(name, [*before], none)}")
    now_ns = time.time_ns()
    start, end = silence.span_ns
    last_ns = (now_ns // SECOND_NS + 1) * SECOND_NS + round(LEAD_S * SECOND_NS)
    if end <= last_ns:
        raise ConfigError(f"the silence {name} has ended at {silence.end}: nothing to do")
    if start >= last_ns:
        run_async(publish_silences(config, {name: None}))
        console.say(f"{name} is removed: it had not begun")
        return {"silence": name, "end": None}
    shorter = AlertSilence(**{**silence.model_dump(), "end": moment_text(last_ns)})
    run_async(publish_silences(config, {name: shorter}))
    console.say(f"{name} ends at {shorter.end}")
    return {"silence": name, "end": shorter.end}
