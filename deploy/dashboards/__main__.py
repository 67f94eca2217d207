"""Write the dashboards to `deploy/grafana/dashboards`."""

from __future__ import annotations

from pathlib import Path

from deploy.dashboards import alerts, bands, pipeline

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
PAGES = {
    "pipeline.json": pipeline.build,
    "alerts.json": alerts.build,
    "bands.json": bands.build,
}

if __name__ == "__main__":
    for name, build in PAGES.items():
        (FOLDER / name).write_text(build())
