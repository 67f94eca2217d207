"""Recorded days through the whole engine at its default budget: how many alerts there are.

Protocol. Each recording is imported and replayed as a user would, from nothing; nothing is planted,
and nobody has marked what was worth an alert: every one that fires counts as false. A recording is
too short to learn a day from, so these are a new user's first hours.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monitor.config import load
from monitor.core.contract.alert import Alert
from monitor.plugins import detector_factories
from replay.day import Day
from replay.day.importer import ingest
from replay.run import replay
from tests.bench.detect.counts import DATA
from tests.bench.detect.levels import FEEDS

HOUR_NS = 3_600_000_000_000


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row for each recording that is here; `quick` leaves out those of many files."""
    for name, (venue, pattern) in FEEDS.items():
        files = sorted(DATA.glob(pattern))
        if not files or (quick and len(files) > 1):
            continue
        config, fired = load(), Counter[str]()
        with tempfile.TemporaryDirectory() as folder:
            ingest(venue, files, Path(folder) / "day")

            def see(alert: Alert, fired: Counter[str] = fired) -> None:
                if alert.status == "firing":
                    fired[alert.kind] += 1

            day = Day(Path(folder) / "day")
            replay(day, config.engine(), detector_factories(config.streams), on_alert=see)
        first, last, _ = day.meta.span or (0, 0, 0)
        hours = (last - first) / HOUR_NS
        number = sum(fired.values())
        yield {
            "table": "recorded days through the whole engine, ten false alerts a day allowed",
            "background": name,
            "detector": "all",
            "false_a_day": number * 24 / hours,
            "note": f"{number} in {hours:.1f} h, where {10 * hours / 24:.1f} are allowed: "
            + ", ".join(f"{kind} {n}" for kind, n in fired.most_common()),
        }
