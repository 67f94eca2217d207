"""What incidents change: where they are and when, and nothing else."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from monitor.core.contract.units import SECOND_NS
from replay.simulation.incidents.disturbances import PLACES, Disturbances, disturbances
from replay.simulation.incidents.planted import INCIDENT_RULES, IncidentKind, PlantedIncident
from tests.replay.simulation.incidents.test_planted import incident

NAMES = ["ETH-PERP", "BTC-PERP"]
START_TS = 990 * SECOND_NS
LENGTH_S = 120
"""The incident is in the seconds 10 to 110 of these."""


def of(whole: PlantedIncident, start_ts: int = START_TS, seconds: int = LENGTH_S) -> Disturbances:
    return disturbances(list(whole.parts()), NAMES, start_ts, seconds)


def arrays(one: Disturbances) -> dict[str, np.ndarray]:
    named = {field.name: getattr(one, field.name) for field in fields(one)}
    return {name: array for name, array in named.items() if name != "start_ts"}


@pytest.mark.parametrize("kind", INCIDENT_RULES)
def test_nothing_changes_outside_of_an_incident(kind: IncidentKind) -> None:
    usual = arrays(Disturbances.usual(START_TS, LENGTH_S, 2))
    changed = np.zeros((LENGTH_S, 2), bool)
    for name, array in arrays(of(incident(kind))).items():
        differs = array != usual[name]
        changed |= differs.any(axis=2) if differs.ndim == 3 else differs
    assert not changed[:10].any()
    assert not changed[110:].any()
    assert not changed[:, 0].any()
    assert changed[10:110, 1].any()


@pytest.mark.parametrize("kind", INCIDENT_RULES)
def test_pieces_of_the_day_have_what_the_whole_day_has(kind: IncidentKind) -> None:
    whole = arrays(of(incident(kind)))
    pieces = [
        arrays(of(incident(kind), START_TS + at * SECOND_NS, 30)) for at in range(0, LENGTH_S, 30)
    ]
    for name, array in whole.items():
        assert (np.concatenate([piece[name] for piece in pieces]) == array).all(), name


def test_depth_is_withdrawn_little_by_little_and_stays_away() -> None:
    kept = of(incident("depth_withdrawal", size=4.0)).depth_kept[10:110, 1]
    assert (np.diff(kept[:50]) < 0).all()
    assert kept[50:] == pytest.approx(0.25)
    assert kept[24] == pytest.approx(1 - 0.75 / 2)


def test_a_cluster_is_thin_for_three_seconds_of_ten() -> None:
    kept = of(incident("thin_book_cluster", size=5.0)).depth_kept[10:110, 1]
    assert kept[:11].tolist() == [0.2, 0.2, 0.2, 1, 1, 1, 1, 1, 1, 1, 0.2]
    assert (kept < 1).sum() == 30


def test_a_price_shock_moves_the_price_by_its_size() -> None:
    returns = of(incident("price_shock", size=-4.0)).index_return
    assert np.exp(returns.sum(axis=0)) == pytest.approx([1.0, 0.96])
    assert of(incident("price_shock", size=-4.0)).taken_depths[:, 1].sum() == pytest.approx(-8.0)


def test_takers_go_through_where_layers_were() -> None:
    taken = of(incident("layering", size=3.0, side="buy")).taken_depths[:, 1]
    assert not taken[:90].any()
    assert (taken[90:110] < 0).all()
    assert taken.sum() == pytest.approx(-0.15)


def test_what_happens_twice_at_once_adds_up() -> None:
    parts = [incident("thin_book", size=2.0), incident("thin_book", size=3.0)]
    assert disturbances(parts, NAMES, START_TS, LENGTH_S).depth_kept[50, 1] == pytest.approx(1 / 6)
    parts = [incident("latency_flip", records=["fill"], size=100.0)] * 2
    delay_ns = disturbances(parts, NAMES, START_TS, LENGTH_S).delay_ns
    assert delay_ns[50, 1, PLACES["fill"]] == 200_000_000


def test_records_are_left_out_or_late_where_their_market_and_kind_are() -> None:
    ts = START_TS + np.array([9, 10, 109, 110, 500]) * SECOND_NS
    btc, none = np.ones(5, np.int32), np.full(5, -1, np.int32)
    silence = of(incident("feed_silence", records=["book"]))
    during = [False, True, True, False, False]
    assert silence.of_records("book", ts, btc)[0].tolist() == during
    assert not silence.of_records("book", ts, btc - 1)[0].any()
    assert not silence.of_records("mark", ts, btc)[0].any()
    assert not silence.of_records("book", ts, none)[0].any()
    everywhere = of(incident("feed_silence", symbol="", records=["book"]))
    assert everywhere.of_records("book", ts, none)[0].tolist() == during
    late = of(incident("latency_flip", records=["fill"], size=5.0))
    assert late.of_records("fill", ts, btc)[1].tolist() == [0, 5_000_000, 5_000_000, 0, 0]
