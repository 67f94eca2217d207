"""Days replayed from end to end: real recordings, bad lines among good, any batch size."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from monitor.core.contract.alert import Alert
from monitor.core.contract.events import TOPICS
from monitor.core.settings import AccountSettings, EngineSettings
from monitor.plugins import detector_factories
from replay.day import Day
from replay.day.importer import ingest
from replay.run import AlertFilter, ReplayOptions, ReplaySummary, replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.replay.conftest import Imported

SETTINGS = EngineSettings()
START = 1_764_000_000_000_000_000
Runs = Callable[[str], tuple[ReplaySummary, bytes]]


def run(day: Path, options: ReplayOptions | None = None, **sinks: Any) -> ReplaySummary:
    return replay(Day(day), SETTINGS, detector_factories(SETTINGS.streams), options, **sinks)


@pytest.fixture(scope="module")
def whole_runs(imported: Imported, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The summary and the bytes of the alerts of a venue's recording, in batches of a million."""

    @cache
    def run_once(venue: str) -> tuple[ReplaySummary, bytes]:
        alerts = tmp_path_factory.mktemp("runs") / "alerts.jsonl"
        summary = run(imported(venue)[0], ReplayOptions(1_000_000), alerts_to=alerts)
        return summary, alerts.read_bytes()

    return run_once


@pytest.mark.xdist_group("recordings")
@pytest.mark.parametrize(
    ("venue", "events", "refused"),
    [
        # One order is of 999,999,999,900 units.
        ("dydx", {"order": 10_040, "cancel": 8_003}, {}),
        ("bitstamp", {"order": 24_894 + 602, "cancel": 24_918, "fill": 575, "book": 5_011}, {}),
        ("lobster", {"order": 44_256, "cancel": 41_004 + 469, "fill": 6_268}, {}),
    ],
)
def test_no_record_of_a_real_recording_is_lost_in_import_and_replay(
    whole_runs: Runs, venue: str, events: dict[str, int], refused: dict[str, int]
) -> None:
    summary, _ = whole_runs(venue)
    assert {kind: summary.events[kind] for kind in events} == events
    assert summary.refused_by_reason == refused
    assert summary.late == 0
    assert summary.windows > 0


@pytest.mark.xdist_group("recordings")
def test_the_digest_of_the_bitstamp_day_does_not_depend_on_batch_size(
    whole_runs: Runs, imported: Imported, tmp_path: Path
) -> None:
    summary, alerts = whole_runs("bitstamp")
    assert summary.digest
    for rows in (1, 977):
        file = tmp_path / f"{rows}.jsonl"
        again = run(imported("bitstamp")[0], ReplayOptions(rows), alerts_to=file)
        assert (again.digest, file.read_bytes()) == (summary.digest, alerts)


BAD = {
    "not_utf8": b'{"kind":"order","ts":1764000000000000000,"symbol":"\xff"}',
    "not_json": b'{"kind":"cancel","ts":1764000000000000000,',
    "duplicate_key": b'{"kind":"cancel","ts":1764000000000000000,"symbol":"X","symbol":"Y"}',
    "unknown_kind": b'{"kind":"trade","ts":1764000000000000000,"symbol":"X"}',
    "missing_field": b'{"kind":"fill","ts":1764000000000000000,"symbol":"X","side":"buy"}',
    "wrong_type": b'{"kind":"cancel","ts":"1764000000000000000","symbol":"X"}',
    "out_of_range": b'{"kind":"cancel","ts":1764000000000,"symbol":"X"}',
    "bad_text": '{"kind":"cancel","ts":1764000000000000000,"symbol":"X\u202eY"}'.encode(),
    "bad_value": b'{"kind":"cancel","ts":1764000000000000000,"symbol":"X","side":"long"}',
    "book_order": (
        b'{"kind":"book","ts":1764000000000000000,"symbol":"X","bids":[["1","1"],["2","1"]],'
        b'"asks":[]}'
    ),
}


def test_exactly_the_bad_lines_are_refused_each_with_its_reason(
    tmp_path: Path,
) -> None:
    rng = random.Random(3)
    lines = []
    for i in range(45_000):
        record = {
            "kind": "cancel",
            "ts": START + i * 10_000_000,
            "symbol": "X",
            "order_id": f"o{i}",
        }
        lines.append(json.dumps(record).encode())
    for reason, raw in BAD.items():
        lines += [raw] * 500
        assert reason
    rng.shuffle(lines)
    # Time must not run backwards in a topic: the good ones keep their order.
    good = iter(sorted(raw for raw in lines if raw not in BAD.values()))
    good_by_time = iter(sorted(good, key=lambda raw: json.loads(raw)["ts"]))
    lines = [raw if raw in BAD.values() else next(good_by_time) for raw in lines]
    (tmp_path / "feed.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    report = ingest("canonical", [tmp_path / "feed.jsonl"], tmp_path / "day")
    assert report.refused == dict.fromkeys(BAD, 500)
    day = Day(tmp_path / "day")
    kept = day.refused_records()
    assert sorted(r.raw for r in kept) == sorted(raw for raw in BAD.values() for _ in range(500))
    assert all(BAD[r.reason] == r.raw for r in kept)
    summary = run(tmp_path / "day")
    assert summary.events == {"cancel": 45_000}
    assert summary.refused_by_reason == dict.fromkeys(BAD, 500)
    assert (summary.refused, summary.late) == (5_000, 0)


def test_a_filter_shows_the_same_alerts_as_the_whole_day(tmp_path: Path) -> None:
    simulate(tmp_path / "day", SimulationSettings(minutes=12, symbols=3, rate=150.0))
    every: list[Alert] = []
    run(tmp_path / "day", on_alert=every.append)
    assert len(every) > 1
    one = every[0]
    chosen: list[Alert] = []
    shown = AlertFilter(one.since, one.ts, frozenset(one.symbols))
    run(tmp_path / "day", ReplayOptions(shown=shown), on_alert=chosen.append)
    assert one in chosen
    assert all(alert in every for alert in chosen)
    assert len(chosen) < len(every)


def test_the_last_interval_of_bands_is_published(tmp_path: Path) -> None:
    tiers = [{"lower_bound": 0, "maintenance_rate": "0.05"}]
    fill = {"kind": "fill", "symbol": "X", "account": "a", "side": "buy", "price": 100}
    lines = [
        {"kind": "reference", "about": "market", "symbol": "X", "tiers": tiers},
        {"kind": "collateral", "account": "a", "amount": 200, "cause": "deposit"},
        {"kind": "mark", "symbol": "X", "mark": 100},
        {**fill, "quantity": 10},
        {**fill, "quantity": 10},
    ]
    # The last fill 90 s after the first records, in a cell that begins a minute after them.
    at = [START, START, START, START, START + 90 * 10**9]
    feed = [json.dumps({**r, "ts": ts}) for r, ts in zip(lines, at, strict=True)]
    (tmp_path / "feed.jsonl").write_text("\n".join(feed) + "\n")
    ingest("canonical", [tmp_path / "feed.jsonl"], tmp_path / "day")
    settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=60))
    out = tmp_path / "bands.jsonl"
    replay(Day(tmp_path / "day"), settings, [], bands_to=out)
    records = [json.loads(raw) for raw in out.read_text().splitlines()]
    forced = [(r["ts"], sum(r["long"]["zones"]["notional"])) for r in records if r["symbol"] == "X"]
    first = START // (60 * 10**9) * 60 * 10**9
    assert [ts for ts, _ in forced] == [first + 60 * 10**9, first + 120 * 10**9]
    assert [notional for _, notional in forced] == [1000, 2000]


def test_a_day_is_replayed_under_the_names_of_topics_that_the_settings_have(tmp_path: Path) -> None:
    simulate(tmp_path / "day", SimulationSettings(minutes=1, symbols=2, accounts=20, rate=40.0))
    own = {kind: f"own.{topic}" for kind, topic in TOPICS.items()}
    settings = EngineSettings()
    outcomes = [
        replay(Day(tmp_path / "day"), each, detector_factories(each.streams))
        for each in (settings, settings.model_copy(update={"topics": own}))
    ]
    assert outcomes[0].windows == outcomes[1].windows > 0
