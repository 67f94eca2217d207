"""The graph of the markets that the sidecar makes beside its stage."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from monitor.core.engine import Engine
from monitor.core.venue.answers.stress_test import StressTest
from monitor.live import cascade_graph
from monitor.live.cascade_graph import EVERY_NS, CascadeGraph, GraphCollector
from tests.core.venue.test_critical_shocks import HOLDERS, THIN, book
from tests.core.venue.test_state import mark, run
from tests.metrics.test_bands import shown


def venue() -> Engine:
    engine, _ = run([*HOLDERS, mark(99.2), book(0, THIN)])
    return engine


def wait(graph: CascadeGraph) -> None:
    """Until the thread of the graph has done what it was given."""
    graph._thread.submit(lambda: None).result()


def test_the_graph_is_the_stress_tests_system_as_of_the_moment_it_was_asked_for() -> None:
    engine = venue()
    stage = engine.stage
    expected = StressTest(engine.venue, stage.band_maker).graph(1.0)
    graph = CascadeGraph()
    gate = threading.Event()
    graph._thread.submit(gate.wait)
    graph.refresh(stage, EVERY_NS)
    # What comes later, while the graph is made, shows nowhere in it.
    for array in (stage.venue_state.trusted_marks.data, stage.venue_state.last_books.data):
        array[:] = 0
    stage.band_maker.pools.update().quantity[:] = 0.0
    gate.set()
    wait(graph)
    assert graph.last is not None
    assert graph.last.system == expected
    assert graph.last.system.r > 1.0
    document = graph.document()
    assert (document["ts"], document["r"]) == (EVERY_NS, expected.r)
    assert {"source": "SOL", "target": "SOL"}.items() <= document["edges"][0].items()
    assert "holders" not in document["edges"][0]  # accounts are no part of /state
    collector = GraphCollector()
    assert shown(collector) == {}
    collector.graph = graph
    samples = shown(collector)
    assert samples["brinkwatch_system_reproduction_ratio"] == pytest.approx(expected.r)
    assert samples['brinkwatch_system_skipped_total{why="running"}'] == 0.0


def test_a_graph_that_is_due_while_another_runs_is_skipped_and_counted() -> None:
    stage, graph = venue().stage, CascadeGraph()
    gate = threading.Event()
    graph._thread.submit(gate.wait)
    graph.refresh(stage, EVERY_NS)
    graph.refresh(stage, 2 * EVERY_NS - 1)  # not due yet
    assert graph.skipped == {}
    graph.refresh(stage, 2 * EVERY_NS)
    assert graph.skipped == {"running": 1}
    gate.set()
    wait(graph)
    graph.refresh(stage, 3 * EVERY_NS)
    assert graph.skipped == {"running": 1, "resting": 1}


def test_a_graph_that_fails_is_counted_and_the_stage_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise ArithmeticError("no eigenvalues")

    monkeypatch.setattr(cascade_graph, "_make", fail)
    stage, graph = venue().stage, CascadeGraph()
    graph.refresh(stage, EVERY_NS)
    wait(graph)
    assert graph.document() == {
        "skipped": {"running": 0, "resting": 0, "too_large": 0, "failed": 1}
    }
    monkeypatch.setattr(cascade_graph, "POSITIONS_MAX", 0)
    graph.refresh(stage, 2 * EVERY_NS)
    assert graph.skipped == {"failed": 1, "too_large": 1}
