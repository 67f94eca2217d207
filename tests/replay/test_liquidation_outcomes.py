"""Real liquidations, predicted from what was known before each."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.settings import EngineSettings
from monitor.venues.hyperliquid.tables import iso_ns
from replay.day import Day
from replay.day.importer import ingest
from replay.run import ReplayOptions, replay
from tests.bench.bench_outcomes import TARGET_BPS, Case, cases
from tests.bench.outcome_history import RATE
from tests.support import recording


@pytest.fixture(scope="module")
def every() -> list[Case]:
    return cases(recording("hyperliquid-2023"))


def share(errors: list[float], edge: float) -> float:
    return sum(abs(error) <= edge for error in errors) / len(errors)


def test_half_of_the_real_liquidations_can_be_rebuilt_and_half_of_those_were_predicted_closely(
    every: list[Case],
) -> None:
    good = [case for case in every if not case.why]
    assert len(good) >= 0.5 * len(every)
    assert share([case.to_threshold for case in good], TARGET_BPS) >= 0.5
    assert share([case.to_mark for case in good], TARGET_BPS) >= 0.4
    assert share([case.to_mark for case in good], 100) >= 0.5


def test_every_liquidation_has_an_error_or_a_reason_why_not(every: list[Case]) -> None:
    assert all(case.why or case.to_mark == case.to_mark for case in every)
    assert all(
        not case.reported_liquidation.cross for case in every if case.why.startswith("isolated")
    )


def test_the_engine_counts_the_errors_that_the_study_measures(every: list[Case]) -> None:
    alone = [c for c in every if not c.why and len(c.outcomes) == 1]
    assert alone
    for case in alone:
        (outcome,) = case.outcomes
        assert outcome.cause == "liquidation"
        assert outcome.error_bps is not None
        assert outcome.predicted is not None
        assert outcome.actual is not None
        # The study lets maintenance move with the mark; Hyperliquid's rule did not at that time.
        is_long = (outcome.predicted > outcome.actual) == (outcome.error_bps > 0)
        still = outcome.ts < iso_ns("2023-04-01T00:00:00Z")
        rate = float(RATE) * still * (1 if is_long else -1)
        assert outcome.error_bps == pytest.approx(case.to_mark * (1 - rate), abs=0.02, rel=1e-6)


def test_no_account_was_closed_far_above_the_venues_own_threshold(every: list[Case]) -> None:
    """Hyperliquid's published 1 %: no cross account was closed above it by more than a mark."""
    gaps = [case.gap for case in every if case.reported_liquidation.cross and case.gap == case.gap]
    assert min(gaps) > -1


TABLES = {
    "fills.csv": """time,user,coin,side,px,sz,crossed
2023-03-01T00:00:05Z,0xa,SOL,Bid,10,40,true
2023-03-01T00:00:09Z,0xa,SOL,Ask,9.8,40,false""",
    # A minute later: the interval of the liquidation is complete.
    "ledger.csv": """time,user,delta_usd
2023-03-01T00:00:01Z,0xa,8
2023-03-01T00:02:00Z,0xb,5""",
    "liquidations.csv": """time,user,liquidated_ntl_pos,liquidated_account_value,leverage_type
2023-03-01T00:00:09Z,0xa,396,4,Cross""",
}


@pytest.mark.parametrize("rows", [1, 1000])
def test_a_replay_compares_forced_fills_with_their_predictions(tmp_path: Path, rows: int) -> None:
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text)
    ingest("hyperliquid", [tmp_path / name for name in TABLES], tmp_path / "day")
    summary = replay(Day(tmp_path / "day"), EngineSettings(streams=()), [], ReplayOptions(rows))
    # 8 + 40 (x − 10) = 0.01 · 40 x  →  x = 392 / 39.6, 0.1 bps from the mark of 9.9
    assert summary.outcomes == {"liquidation": {"cross": {"within_10_bps": 1}}}
    assert summary.late == 0


def test_an_isolated_liquidation_is_counted_as_isolated_and_not_predicted(tmp_path: Path) -> None:
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text.replace("Cross", "Isolated"))
    ingest("hyperliquid", [tmp_path / name for name in TABLES], tmp_path / "day")
    summary = replay(Day(tmp_path / "day"), EngineSettings(streams=()), [])
    assert summary.outcomes == {"liquidation": {"isolated": {"no_margin": 1}}}


def test_the_real_isolated_liquidations_are_all_counted_as_isolated(every: list[Case]) -> None:
    modes = [(c.reported_liquidation.cross, o.mode, o.verdict) for c in every for o in c.outcomes]
    assert all((mode == "cross") == cross for cross, mode, _ in modes)
    assert [verdict for cross, _, verdict in modes if not cross] == ["no_margin"] * 4
