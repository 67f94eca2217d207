"""One table of metrics: the page is made of it, and nothing is shown that is not in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from prometheus_client import generate_latest

from monitor.metrics.catalogue import CATALOGUE
from monitor.metrics.page import render
from monitor.metrics.sidecar import Metrics
from tests.core.alerts.findings import alerts_of, finding
from tests.core.venue.test_state import BASE, deposit, fill, run
from tests.support import ROOT, program

PAGE: Path = ROOT / "docs" / "metrics.md"
ENDS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def full() -> Metrics:
    """Metrics of something that has bands and fires."""
    metrics = Metrics()
    _, (*_, metrics.band_collector.last) = run([*BASE, deposit("a", 60), fill("a", "buy", 10)])
    metrics.firing.follow(alerts_of(finding()))
    return metrics


def test_the_page_is_what_the_catalogue_says() -> None:
    assert PAGE.read_text("utf-8") == render()


def test_every_series_is_in_the_catalogue_with_its_type_labels_and_text() -> None:
    for family in full().registry.collect():
        if family.name.startswith("process_"):
            continue
        end = "" if family.type in ("gauge", "histogram") else ENDS[family.type][0]
        spec = CATALOGUE[family.name + end]
        assert (family.type, family.documentation) == (spec.type, spec.text)
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                assert set(sample.labels) - {"le"} == set(spec.labels), sample


def test_promtool_has_nothing_against_the_metrics() -> None:
    shown = generate_latest(full().registry)
    command = [program("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=shown, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
