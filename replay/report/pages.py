"""A question's answer as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor.page.document import check_assets
from replay.report.account import account_report
from replay.report.stress import STRESS_ASSETS, stress_report
from replay.run import atomic_file

STRESS, ACCOUNT = "stress", "account"
"""The questions that have pages, by their paths."""


def check_page(question: str) -> None:
    """Raise `BrinkwatchError` where a page of this question lacks its assets."""
    if question == STRESS:
        check_assets(STRESS_ASSETS)


def write_page(file: Path, question: str, place: str, answer: dict[str, Any]) -> None:
    """Write the page of an answer. `place`: the day or sidecar that was asked. The curves of a
    stress test are for its page alone: they are taken out of the answer."""
    if question == STRESS:
        html = stress_report(Path(place).name, answer, answer.pop("curves"))
    else:
        html = account_report(answer)
    with atomic_file(file) as out:
        out.write(html.encode())
