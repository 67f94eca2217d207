"""The page of a day shows what the engine read, decided and printed, and changes none of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.arrays.types import Float64
from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.history import group_by_incident
from monitor.core.contract.alert import parse_alert
from monitor.core.settings import StreamSettings
from monitor.errors import BrinkwatchError, ConfigError
from monitor.page import document
from replay.commands import open_days, replay_days
from replay.report import market_series
from replay.report.band_history import REACH
from replay.report.day import DAY_ASSETS
from replay.run import AlertFilter, ReplayOptions
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.replay.report.test_pages import HOSTILE, Page, check_page, make_day
from tests.support import write_page_assets

SEARCHING = Config(
    replace_streams=True,
    streams=[StreamSettings(feature="cancels", parameters={"warm_up": 20})],
    alerts={"per_day": 20_000, "quiet_s": 5},
    joint={"streams": ()},
)
"""So many alerts that minutes have some."""


@pytest.fixture(scope="module", autouse=True)
def assets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("assets")
    write_page_assets(folder, DAY_ASSETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "ASSETS", folder)
        yield folder


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "day"
    simulate(folder, SimulationSettings(minutes=4, symbols=3, accounts=60, rate=80.0))
    return folder


def report_of(
    day: Path, out: Path, options: ReplayOptions | None = None
) -> tuple[dict[str, Any], Page, dict[str, Any]]:
    """The numbers that the replay printed, the page, and the page's data."""
    options = options or ReplayOptions(report=out / "day.html")
    result = replay_days(
        open_days([str(day)]), SEARCHING, Console(True), options, out / "a.jsonl", out / "b.jsonl"
    )
    page = check_page((out / "day.html").read_text())
    (text,) = [s for s in page.texts["script"] if s.startswith("const REPORT = ")]
    return result, page, json.loads(text.removeprefix("const REPORT = ").removesuffix(";"))


@pytest.fixture(scope="module")
def shown(
    day: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], Page, dict[str, Any]]:
    out = tmp_path_factory.mktemp("shown")
    return out, *report_of(day, out)


def unpack(packed: dict[str, str]) -> Float64:
    ((kind, text),) = packed.items()
    return np.frombuffer(base64.b64decode(text), f"<{kind}").astype(float)


def total(data: dict[str, Any], name: str) -> float:
    series = (market["series"] for market in data["markets"].values())
    return float(sum(np.nansum(unpack(one[name])) for one in series if name in one))


def test_every_order_and_trade_that_was_read_is_drawn_once(
    shown: tuple[Path, dict[str, Any], Page, dict[str, Any]],
) -> None:
    _, result, _, data = shown
    assert total(data, "orders") == result["events"]["order"]
    for market in data["markets"].values():
        assert {len(unpack(one)) for one in market["series"].values()} == {data["series"]["steps"]}


def test_in_coarser_steps_the_same_is_drawn(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    shown: tuple[Path, dict[str, Any], Page, dict[str, Any]],
) -> None:  # fmt: skip
    monkeypatch.setattr(market_series, "POINTS_MAX", 1_000)
    _, _, fine = shown[1:]
    _, _, coarse = report_of(day, tmp_path)
    size = coarse["series"]["step"] // fine["series"]["step"]
    assert size > 1
    drawn = sum(len(m["series"]) for m in coarse["markets"].values()) * coarse["series"]["steps"]
    assert drawn <= 1_000
    for name in ("orders", "cancels"):
        assert total(coarse, name) == total(fine, name)
    for symbol, market in coarse["markets"].items():
        whole = unpack(fine["markets"][symbol]["series"]["depth_25bps_bid"])
        parts = np.split(whole, range(size, len(whole), size))
        least = [np.nanmin(part) for part in parts]
        assert unpack(market["series"]["depth_25bps_bid"]) == pytest.approx(least)
        last = unpack(fine["markets"][symbol]["series"]["mark"])[size - 1 :: size]
        assert unpack(market["series"]["mark"])[: len(last)] == pytest.approx(last)


def test_incidents_are_those_of_the_alerts(
    shown: tuple[Path, dict[str, Any], Page, dict[str, Any]],
) -> None:
    out, result, _, data = shown
    lines = (out / "a.jsonl").read_bytes().splitlines()
    incidents = group_by_incident(map(parse_alert, lines))
    assert result["incidents"] == len(incidents) > 0
    assert [one["alert"]["incident"] for one in data["incidents"]] == [
        one.incident for one in incidents
    ]
    by_id = {line["id"]: line for line in map(json.loads, lines)}
    for drawn, one in zip(data["incidents"], incidents, strict=True):
        assert drawn["alert"] == by_id[one.latest.id]
        assert drawn["severity"] == one.severity
        assert [round(ms * 1e6 / 1e9) for ms, _, _ in drawn["history"]] == [
            alert.ts // 10**9 for alert in one.alerts
        ]
        assert json.loads(drawn["verdict"])["opened"] == one.opened_ns


def test_the_charts_of_an_alert_show_what_it_observed(
    shown: tuple[Path, dict[str, Any], Page, dict[str, Any]],
) -> None:
    _, _, _, data = shown
    compared = 0
    for one in data["incidents"]:
        alert = one["alert"]
        parts = {part["stream"]: part for part in alert["evidence"]}
        if set(parts) != {"cancels"} or parts["cancels"]["detector"] != "burst":
            continue
        (chart,) = one["charts"]
        times = chart["from"] + chart["step"] * np.arange(len(unpack(chart["values"])))
        inside = (times >= alert["since"] / 1e6) & (times < alert["ts"] / 1e6)
        assert unpack(chart["values"])[inside].sum() == pytest.approx(parts["cancels"]["observed"])
        expected = chart["expected"] * inside.sum()
        assert expected == pytest.approx(parts["cancels"]["expected"], rel=1e-3)
        compared += 1
    assert compared


def test_the_heat_map_has_what_the_bands_would_force(
    shown: tuple[Path, dict[str, Any], Page, dict[str, Any]],
) -> None:
    out, _, _, data = shown
    records = [json.loads(line) for line in (out / "b.jsonl").read_text().splitlines()]
    compared = 0
    for record in records:
        bands = data["markets"].get(record["symbol"], {"bands": None})["bands"]
        if bands is None:
            continue
        column = round((record["ts"] / 1e6 - bands["from"]) / bands["step"])
        assert record["ts"] / 1e6 == bands["from"] + column * bands["step"]
        drawn = unpack(bands["amount"])[unpack(bands["column"]) == column].sum()
        forced = sum(
            amount
            for side in ("long", "short")
            for zone, amount in zip(
                record[side]["zones"]["zone"], record[side]["zones"]["notional"], strict=True
            )
            if zone < round(REACH * 1e4 / record["zone_bps"])
        )
        assert drawn == pytest.approx(forced, rel=1e-6, abs=0.01)
        compared += forced > 0
    assert compared


def test_the_page_says_what_was_printed(
    shown: tuple[Path, dict[str, Any], Page, dict[str, Any]], day: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _, result, page, _ = shown
    plain = replay_days(open_days([str(day)]), SEARCHING, Console(True))
    assert plain["digest"] == result["digest"]
    assert result["digest"] in page.texts["code"]
    printed = capsys.readouterr().err.splitlines()
    listed = [line for line in page.texts["li"] if not line.endswith("records a second")]
    assert set(listed) <= set(printed)
    assert len(listed) >= 4
    assert f"{result['records']:,}" in page.texts["dd"]


def test_a_name_of_the_day_runs_nowhere_and_only_chosen_markets_are_drawn(tmp_path: Path) -> None:
    day = make_day(tmp_path)
    _, page, data = report_of(day, tmp_path)
    assert [*data["markets"]] == sorted([HOSTILE, "Y"])
    assert HOSTILE in page.texts["option"]
    options = ReplayOptions(report=tmp_path / "day.html", shown=AlertFilter(symbols=frozenset("Y")))
    assert [*report_of(day, tmp_path, options)[2]["markets"]] == ["Y"]


def test_what_cannot_be_is_refused_before_the_day_is_read(
    day: Path, tmp_path: Path, assets: Path
) -> None:
    report = tmp_path / "day.html"
    with pytest.raises(ConfigError, match="with a report runs in one process: leave out"):
        report_of(day, tmp_path, ReplayOptions(report=report, workers=2))
    with pytest.raises(ConfigError, match="--report is of one run"):
        replay_days(
            open_days([str(day)]), SEARCHING, Console(True), ReplayOptions(report=report),
            override=tmp_path / "rules.toml",
        )  # fmt: skip
    kept = (assets / DAY_ASSETS[0]).rename(tmp_path / "kept")
    with pytest.raises(BrinkwatchError, match="run `make assets`"):
        report_of(day, tmp_path)
    kept.rename(assets / DAY_ASSETS[0])
    assert not report.exists()
