"""`docs/metrics.md`, from the catalogue."""

from __future__ import annotations

from monitor.metrics.alerts import FIRING_LISTED, SYMBOLS_MAX
from monitor.metrics.bands import MARKETS_MAX
from monitor.metrics.catalogue import PARTS, PREFIX, MetricSpec
from monitor.metrics.features import MARKETS_MAX as FEATURE_MARKETS_MAX

INTRODUCTION = f"""# Metrics

Generated from `monitor/metrics/catalogue.py` (`python -m tests.metrics.test_catalogue`): every
series that `brinkwatch run` shows at `/metrics`, beside `process_*` of the process itself. *Day*:
whether `brinkwatch replay --metrics` writes it of a recorded day too.

Labels are bounded, and none is ever an account: kinds, reasons, topics, receivers and streams of
the configuration; {SYMBOLS_MAX} symbols that alert, {MARKETS_MAX} markets with bands (those with
the most at stake) and {FEATURE_MARKETS_MAX} with features (the first to come) for each process.
`brinkwatch_alert_since_timestamp_seconds` has sentences as labels: {FIRING_LISTED} at once, a new
series for each alert, which the budget bounds
(`docs/decisions/0063-sentences-of-what-fires-are-labels.md`).

For dashboards and rules that follow Grafana's contract for anomaly detection,
`deploy/prometheus/recording.yml` records `anomaly:level`, `anomaly:upper_band` and
`anomaly:lower_band` of each market, by `anomaly_name`.
"""


def _row(name: str, spec: MetricSpec) -> str:
    labels = ", ".join(f"`{label}`" for label in spec.labels)
    day = "yes" if spec.is_replayed else ""
    return f"| `{PREFIX}{name}` | {spec.type} | {labels} | {spec.text} | {day} |"


def render() -> str:
    """The page."""
    parts = [INTRODUCTION]
    for title, specs in PARTS.items():
        rows = [_row(name, spec) for name, spec in specs.items()]
        head = ["| name | type | labels | what it says | day |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"## {title}", "", *head, *rows]) + "\n")
    return "\n".join(parts)
