"""The walk through the layers: what is broken in a lower layer explains what is odd above it."""

from __future__ import annotations

from typing import get_args

from monitor.core.alerts.formatting import join_list
from monitor.core.alerts.phrases import change_phrase
from monitor.core.contract.alert import Step
from monitor.core.contract.feature_catalogue import FEATURES, Layer
from monitor.core.finding import Finding

LAYERS: tuple[Layer, ...] = get_args(Layer)
"""The lowest first."""


def walk_layers(finding: Finding, watched: frozenset[str]) -> tuple[Step, ...]:
    """What each layer says, of the streams that are `watched`."""
    return tuple(Step(layer, _say(layer, finding, watched)) for layer in LAYERS)


def _say(layer: Layer, finding: Finding, watched: frozenset[str]) -> str:
    """What is out of the ordinary in a layer, and which of its streams could not judge."""
    abstained, several = dict(finding.abstained), len(finding.symbols) > 1
    here = [name for name, spec in FEATURES.items() if spec.layer == layer and name in watched]
    silent = [f"{name} ({abstained[name]})" for name in here if name in abstained]
    changes = [
        change_phrase(part) + (f" in {part.symbol}" if several else "")
        for part in finding.parts
        if FEATURES[part.stream].layer == layer
    ]
    if changes:
        said = join_list(changes)
    elif not here:
        said = "not watched"
    else:
        said = "cannot tell" if len(silent) == len(here) else "nothing out of the ordinary"
    return f"{said}; abstained: {', '.join(silent)}" if silent else said
