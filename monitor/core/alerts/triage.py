"""The walk through the layers: what is broken in a lower layer explains what is odd above it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from monitor.core.alerts.formatting import join_list
from monitor.core.alerts.phrases import change_phrase
from monitor.core.contract.alert import Step
from monitor.core.contract.feature_catalogue import FEATURES, Layer
from monitor.core.finding import Finding

LAYERS: tuple[Layer, ...] = get_args(Layer)
"""The lowest first."""


def streams_by_layer(watched: Iterable[str]) -> dict[Layer, list[str]]:
    """The `watched` streams of each layer, in the order of the catalogue."""
    names = frozenset(watched)
    return {
        layer: [n for n, spec in FEATURES.items() if spec.layer == layer and n in names]
        for layer in LAYERS
    }


def walk_layers(finding: Finding, watched: dict[Layer, list[str]]) -> tuple[Step, ...]:
    """What each layer says; `watched` is from `streams_by_layer`."""
    abstained = dict(finding.abstained)
    return tuple(
        Step(layer, _describe(_changes(finding, layer), watched[layer], abstained))
        for layer in LAYERS
    )


def _changes(finding: Finding, layer: Layer) -> list[str]:
    """What is out of the ordinary in a layer; with the market, where there are several."""
    several = len(finding.symbols) > 1
    return [
        change_phrase(part) + (f" in {part.symbol}" if several else "")
        for part in finding.parts
        if FEATURES[part.stream].layer == layer
    ]


def _describe(changes: list[str], watched: list[str], abstained: dict[str, str]) -> str:
    """A layer in a few words, and which of its streams could not judge."""
    silent = [f"{name} ({abstained[name]})" for name in watched if name in abstained]
    if changes:
        said = join_list(changes)
    elif not watched:
        said = "not watched"
    else:
        said = "cannot tell" if len(silent) == len(watched) else "nothing out of the ordinary"
    return f"{said}; abstained: {', '.join(silent)}" if silent else said
