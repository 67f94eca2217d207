"""Write the dashboards to `deploy/grafana/dashboards`."""

from __future__ import annotations

from pathlib import Path

from deploy.dashboards import detectors, pipeline, symbol, venue

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
PAGES = {
    "venue.json": venue.build,
    "symbol.json": symbol.build,
    "detectors.json": detectors.build,
    "pipeline.json": pipeline.build,
}

if __name__ == "__main__":
    for name, build in PAGES.items():
        (FOLDER / name).write_text(build())
