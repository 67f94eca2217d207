"""Detectors from elsewhere: by entry point, and river's own by name."""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from detectors.conformance import ConformanceError, check_detector, quick_check
from detectors.river_adapter import REFUSED, RiverDetector

HERE = Path(__file__).parent / "detectors"


def test_a_detector_of_another_package_plugs_in_by_entry_point_and_conforms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "example_plugin"
    package.mkdir()
    for source in (HERE / "example_plugin").glob("*.py"):
        (package / source.name).write_text(source.read_text())
    metadata = tmp_path / "example_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: example-plugin\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[brinkwatch.detectors]\nabove_mean = example_plugin.highest:AboveMean\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        (point,) = entry_points(group="brinkwatch.detectors", name="above_mean")
        check_detector(point.load(), pause_windows=2000)
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "example_plugin"]:
            del sys.modules[name]


def test_rivers_half_space_trees_conform() -> None:
    check_detector(lambda: RiverDetector("HalfSpaceTrees"), pause_windows=2000)


@pytest.mark.parametrize("name", ["GaussianScorer", "StandardAbsoluteDeviation"])
def test_rivers_supervised_detectors_conform(name: str) -> None:
    check_detector(lambda: RiverDetector(name), pause_windows=2000)


@pytest.mark.parametrize("name", ["GaussianScorer", "HalfSpaceTrees"])
def test_a_detector_of_falls_is_tried_on_falls(name: str) -> None:
    falls = RiverDetector(name, direction="down")
    assert (falls.rising_features, falls.falling_features) == ((), ("count",))
    quick_check(lambda: RiverDetector(name, direction="down"))


class BlindToFalls(RiverDetector):
    """Counts what it looks for among what rises, where it has no score."""

    @property
    def falling_features(self) -> tuple[str, ...]:
        return ()


def test_a_detector_that_cannot_report_what_it_is_tried_on_does_not_conform() -> None:
    with pytest.raises(ConformanceError, match="bursts of 10 times the usual"):
        quick_check(lambda: BlindToFalls("GaussianScorer", direction="down"))


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="HalfSpaceTrees"):
        RiverDetector("HalfSpaceTree")


def test_a_detector_that_breaks_the_protocol_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="changes its state"):
        RiverDetector("PredictiveAnomalyDetection")


def test_a_wrong_option_is_refused_with_the_options_there_are() -> None:
    with pytest.raises(ValueError, match="n_trees"):
        RiverDetector("HalfSpaceTrees", options={"trees": 3})


@pytest.mark.parametrize("name", ["LODA", "OneClassSVM", "LocalOutlierFactor"])
def test_a_detector_that_is_of_no_use_here_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValueError, match=f"river's {name} cannot be used: .*; take one of Gauss"):
        RiverDetector(name)


def test_one_that_ties_beyond_what_it_has_seen_does_not_conform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(REFUSED, "LODA")
    with pytest.raises(ConformanceError, match=r"LODA cannot alert: .* an alert needs once in"):
        quick_check(lambda: RiverDetector("LODA"))


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1/0",)


def test_a_state_that_holds_anything_else_than_rivers_objects_is_refused() -> None:
    detector = RiverDetector("GaussianScorer")
    state = detector.snapshot() | {"model": pickle.dumps(_Harm())}
    with pytest.raises(ValueError, match=r"may not hold builtins\.eval"):
        detector.restore(state)
