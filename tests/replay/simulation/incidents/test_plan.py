"""The plan of a day: the default one, and that of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monitor.core.contract.units import SECOND_NS
from replay.simulation.incidents.plan import (
    CASCADE_MARKETS,
    DEFAULT_MIX,
    QUIET_SHARE,
    default_plan,
    encode_plan,
    make_plan,
    plan_schema,
    read_plan,
)
from replay.simulation.incidents.planted import INCIDENT_RULES, IncidentKind
from tests.replay.simulation.incidents.test_planted import incident

SYMBOLS = [f"M{n}-PERP" for n in range(8)]
ACCOUNTS = [f"a-{n}" for n in range(100)]


def plan_of(minutes: int, seed: int = 1, symbols: list[str] = SYMBOLS) -> list:
    rng = np.random.default_rng(seed)
    return default_plan(rng, symbols, ACCOUNTS, 0, minutes * 60 * SECOND_NS)


def test_a_default_plan_has_every_kind_of_the_mix_and_ends_in_a_cascade() -> None:
    plan = plan_of(20)
    assert [one.kind for one in plan] == [*(one.kind for one in DEFAULT_MIX), "cascade"]
    assert plan[0].start_ts >= QUIET_SHARE * 1200 * SECOND_NS
    assert plan[-1].end_ts == 1200 * SECOND_NS
    assert plan[-1].markets == SYMBOLS[:CASCADE_MARKETS]
    assert {one.symbol for one in plan} <= {"", *SYMBOLS[:4]}


@pytest.mark.parametrize("minutes", [1, 4, 7, 60])
@pytest.mark.parametrize("symbols", [1, 2, 8])
def test_a_default_plan_fits_into_any_day(minutes: int, symbols: int, tmp_path: Path) -> None:
    plan, end_ts = plan_of(minutes, symbols=SYMBOLS[:symbols]), minutes * 60 * SECOND_NS
    file = tmp_path / "plan.json"
    file.write_bytes(encode_plan(plan))
    rng = np.random.default_rng(0)
    assert make_plan(str(file), rng, SYMBOLS[:symbols], ACCOUNTS, 0, end_ts) == sorted(
        plan, key=lambda one: one.start_ts
    )


@pytest.mark.parametrize("kind", INCIDENT_RULES)
def test_an_incident_comes_back_from_its_file_as_it_was(kind: IncidentKind, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(encode_plan([incident(kind)]))
    assert read_plan(file) == [incident(kind)]


def test_who_acts_is_drawn_where_nobody_is_named(tmp_path: Path) -> None:
    file, rng = tmp_path / "plan.json", np.random.default_rng(0)
    kinds: tuple[IncidentKind, ...] = ("cancel_burst", "layering", "cascade", "leverage_surge")
    plan = [incident(kind, id=kind) for kind in kinds]
    file.write_bytes(encode_plan(plan))
    drawn = make_plan(str(file), rng, ["BTC-PERP"], ACCOUNTS, 0, 2_000 * SECOND_NS)
    assert [len(one.accounts) for one in drawn] == [1, 1, 1, 0]
    assert {name for one in drawn for name in one.accounts} <= {*ACCOUNTS}


def test_a_file_that_is_no_plan_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('[{"id": "x", "kind": "flood"}]')
    with pytest.raises(ValueError, match=r"plan.json: 0.kind: .*cancel_burst"):
        read_plan(file)
    file.write_text("{")
    with pytest.raises(ValueError, match="the file: Invalid JSON"):
        read_plan(file)


def test_the_example_of_the_documents_is_a_plan_of_every_kind() -> None:
    docs = Path(__file__).parents[4] / "docs"
    plan = read_plan(docs / "examples" / "incidents.json")
    assert {one.kind for one in plan} == {*INCIDENT_RULES}
    page = (docs / "simulation.md").read_text()
    for kind, rule in INCIDENT_RULES.items():
        assert f"| `{kind}` | {rule.size or '(none)'}" in page


def test_the_schema_lists_every_kind() -> None:
    kinds = plan_schema()["$defs"]["PlantedIncident"]["properties"]["kind"]["enum"]
    assert kinds == [*INCIDENT_RULES]
