"""What to look at next."""

from __future__ import annotations

from monitor.core.alerts.hints import BY_KIND, BY_STREAM, HINTS_MAX, look_at
from monitor.core.contract.feature_catalogue import FEATURES, QUALITY_FEATURES
from monitor.core.marks.mark_guard import DOUBT_KINDS


def test_every_stream_sends_its_reader_somewhere_and_no_hint_is_about_nothing() -> None:
    for name, spec in FEATURES.items():
        assert len(look_at([name], [spec.kind or "burst"])) == 1
    kinds = {spec.kind for spec in FEATURES.values()} | {*QUALITY_FEATURES, *DOUBT_KINDS, "drift"}
    assert set(BY_KIND) <= kinds
    assert set(BY_STREAM) <= set(FEATURES)


def test_each_place_is_named_once_and_few_are_named() -> None:
    assert look_at(["trades", "trade_notional"], ["burst", "peak"]) == (BY_STREAM["trades"],)
    kinds = [spec.kind or "burst" for spec in FEATURES.values()]
    assert len(look_at([*FEATURES], kinds)) == HINTS_MAX
