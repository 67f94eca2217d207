"""How each venue makes its mark price, as formulas in words.

Bands and alerts take the venue's own mark; the text says what stands behind it. The formulas are
worked out in `tests/core/margin/venue_formulas.py`. Sources: the venues' own pages on mark price,
as of 2024–2025.
"""

from __future__ import annotations

_MEDIAN_OF_THREE = "median(index·(1 + funding rate·share of the interval left), index + {}, last)"

MARK_RULES = {
    "hyperliquid": (
        "median(oracle + EMA150s(mid − oracle), median(bid, ask, last), median of other venues' "
        "perpetual mids)"
    ),
    "oracle": "the oracle price alone",
    "binance": _MEDIAN_OF_THREE.format("mean30s(mid − index)"),
    "bybit": _MEDIAN_OF_THREE.format("mean5min(mid − index)"),
    "okx": _MEDIAN_OF_THREE.format("mean5min(mid − index)"),
    "fair": "index·(1 + funding rate·share of the interval left)",
    "deribit": "index + EMA30s(fair price − index)",
}
"""The formula of every mark rule by name. A `reference` record's `mark_rule` names one."""
