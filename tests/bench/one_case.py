"""One case of one bench in this process; its figures as the last line of output, in JSON.

python -m tests.bench.one_case BENCH SIZE CASE SCRATCH
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.figures import cases, measure


def main() -> None:
    bench, size, case, scratch = sys.argv[1:]
    figures = measure(bench, cases(bench, size)[int(case)], Path(scratch))
    print(json.dumps([*figures]))


if __name__ == "__main__":
    main()
