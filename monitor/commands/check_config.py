"""`brinkwatch check-config`."""

from __future__ import annotations

from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.plugins import detector_factories


def check_config(config: Config, console: Console) -> dict[str, Any]:
    """Make every detector of a configuration; raises `ConfigError` for what does not fit."""
    detector_factories(config.streams)
    fingerprint = config.engine().fingerprint()
    console.say(f"the configuration is sound (settings {fingerprint})")
    return {"ok": True, "settings": fingerprint}
