"""`brinkwatch check-config`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monitor.config import load_with_origins
from monitor.console import Console
from monitor.plugins import detector_factories
from monitor.sources.registry import make_registry
from monitor.sources.translators import make_live_translator, make_translator


def check(
    file: Path | None, overrides: dict[str, Any], console: Console, *, show: bool, connect: bool
) -> int:
    """Judge a configuration; the exit status: 0, or 2 where a broker says no.

    show: print the values that hold. connect: try the brokers as `run` would use them.
    Raises `ConfigError` for what is wrong in the configuration itself.
    """
    config, origins = load_with_origins(file, **overrides)
    detector_factories(config.streams, thorough=True, say=console.say)
    registry = make_registry(config.schema_registry)
    for name, source in config.source.items():
        make = make_live_translator if source.topic else make_translator
        make(name, source, registry)
    fingerprint = config.engine().fingerprint()
    result: dict[str, Any] = {"ok": True, "settings": fingerprint}
    if show:
        from monitor.configuration.effective import effective_json, effective_toml

        result |= effective_json(config, origins)
        for line in effective_toml(config, origins).splitlines():
            console.say(line)
    else:
        console.say(f"the configuration is sound (settings {fingerprint})")
    if connect:
        from monitor.commands.bus.check_broker import check_broker

        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the findings say it all
        findings = check_broker(config)
        for finding in findings:
            console.say(f"{'# ' if show else ''}{finding.sentence}")
        result["ok"] = all(finding.ok for finding in findings)
        result["findings"] = [finding._asdict() for finding in findings]
    console.result(result)
    return 0 if result["ok"] else 2
