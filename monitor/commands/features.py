"""`brinkwatch features`: the numbers that a stream can be set on."""

from __future__ import annotations

from typing import Any

from monitor.core.contract.feature_catalogue import FEATURE_NAMES, FEATURES, VENUE_FEATURES

FORM_PHRASES = {
    "count": "counted in a window", "amount": "summed over a window", "share": "within 0 and 1",
    "level": "a level", "signed": "a level of either sign",
}  # fmt: skip


def list_features() -> list[dict[str, Any]]:
    """Every feature by name, with its meaning, its unit and the records that it is made of."""
    listed = []
    for name in (*FEATURE_NAMES, *VENUE_FEATURES):
        spec = FEATURES[name]
        listed.append({
            "name": name, "means": spec.noun.rstrip(","), "unit": spec.unit, "form": spec.form,
            "made_of": list(spec.records), "per": "venue" if name in VENUE_FEATURES else "window",
        })  # fmt: skip
    return listed


def describe_feature(feature: dict[str, Any]) -> str:
    """One line for people."""
    interval = ", once an interval of the bands" if feature["per"] == "venue" else ""
    return (
        f"{feature['name']:24} {feature['means']}; {feature['unit']}, "
        f"{FORM_PHRASES[feature['form']]}{interval} ({', '.join(feature['made_of'])})"
    )
