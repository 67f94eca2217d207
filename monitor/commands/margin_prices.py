"""`brinkwatch margin`: a document of positions in, prices with their trace out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from monitor.console import Console
from monitor.core.margin.calculator import solve
from monitor.core.margin.calculator_input import MarginInputError
from monitor.errors import ConfigError

PRICES = ("warn", "liquidation", "backstop", "bankruptcy")


def run(file: str, console: Console) -> dict[str, Any]:
    """Read `file` (`-`: standard input), solve it, show a table."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        document = json.loads(text, parse_float=str)
        answer: dict[str, Any] = solve(document)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file} is not JSON: {error}") from error
    except MarginInputError as error:
        raise ConfigError(str(error)) from error
    rows = [
        [str(p["symbol"]), *(p[name] or "none" for name in PRICES), str(p["tier"])]
        for pool in answer["pools"]
        for p in pool["positions"]
    ]
    console.table("Prices", ["symbol", *PRICES, "tier"], rows)
    return answer
