"""One table of what is found, how soon, and at how many false alarms: `make bench-detect`.

    python -m tests.bench.bench_detect [--quick] [--only counts,budget,...]

Each module of `tests/bench/detect` that has `rows` says in its docstring by which protocol.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterable
from typing import Any

PARTS = (
    "counts", "budget", "first", "levels", "drift", "marks", "joint", "across", "incidents",
    "plugins", "cost", "days.natural", "days.planted", "days.first_hour", "days.quiet_days",
)  # fmt: skip
HEAD = ("background", "detector", "at 1", "at .1", "p50 s", "p95 s", "false/day")
KEYS = ("recall_at_1", "recall_at_01", "delay_p50_s", "delay_p95_s", "false_a_day")
COMMON = {"table", "background", "detector", "note", *KEYS}


def shown(value: Any) -> str:
    """A figure, a list of figures, or nothing.

    >>> shown(0.1234), shown([0.5, 1.0]), shown(None)
    ('0.123', '0.50 1.00', '')
    """
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(f"{v:.2f}" for v in value)
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def print_tables(rows: Iterable[dict[str, Any]], table: str | None = None) -> str | None:
    """Print rows as they come, each table under its title; `table`: the one printed last.

    Returns the title of the last one.
    """
    for row in rows:
        if row["table"] != table:
            table = row["table"]
            print(f"\n{table}\n{HEAD[0]:28}{HEAD[1]:36}" + "".join(f"{h:>10}" for h in HEAD[2:]))
        figures = "".join(f"{shown(row.get(key)):>10}" for key in KEYS)
        others = [f"{k} {shown(v)}" for k, v in row.items() if k not in COMMON]
        notes = "; ".join(filter(None, (row.get("note"), *others)))
        print(f"{row['background']:28}{row['detector']:36}{figures}  {notes}", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in five minutes, with wide errors")
    parser.add_argument("--only", default="", help="some of " + ", ".join(PARTS))
    asked = parser.parse_args()
    parts = asked.only.split(",") if asked.only else PARTS
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"no part {unknown[0]!r}: take some of {', '.join(PARTS)}")
    table = None
    began = time.perf_counter()

    def print_part(part: str) -> None:
        if sys.stderr.isatty():
            print(f"{time.perf_counter() - began:6.0f} s {part:12}", end="\r", file=sys.stderr)

    for part in parts:
        print_part(part)
        module = importlib.import_module(f"tests.bench.detect.{part}")
        table = print_tables(module.rows(quick=asked.quick), table)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
