"""`brinkwatch margin`: a document of positions in, prices with their trace out."""

from __future__ import annotations

import json
from typing import Any

from monitor.console import Console
from monitor.core.margin.calculator import solve
from monitor.core.margin.calculator_input import MarginInputError
from monitor.errors import ConfigError, read_text, reason_unread

FILE_BYTES_MAX = 1 << 26
PRICES = ("warn", "liquidation", "backstop", "bankruptcy")


def run(file: str, console: Console) -> dict[str, Any]:
    """Read `file` (`-`: standard input), solve it, show a table."""
    text = read_text(file, FILE_BYTES_MAX)
    try:
        answer: dict[str, Any] = solve(json.loads(text, parse_float=str))
    except MarginInputError as error:
        raise ConfigError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not JSON: {reason_unread(error)}") from error
    rows = [
        [str(p["symbol"]), *(p[name] or "none" for name in PRICES), str(p["tier"])]
        for pool in answer["pools"]
        for p in pool["positions"]
    ]
    console.table("Prices", ["symbol", *PRICES, "tier"], rows)
    return answer
