"""The README's picture shows what `brinkwatch demo` prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from deploy.picture import PICTURE, draw


def test_the_picture_shows_the_alerts_of_the_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monitor.cli", "demo", "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["found"] > result["planted"] // 2
    lines = (tmp_path / "alerts.jsonl").read_text("utf-8").splitlines()
    assert draw(lines) == PICTURE.read_text("utf-8")
