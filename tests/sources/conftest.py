"""A real schema registry for the tests of this folder: one for the session, started when needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.errors import BrokerError
from tests.schema_registry import Apicurio
from tests.support import skip_or_fail

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and "apicurio" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("registry"))


@pytest.fixture(scope="session")
def apicurio() -> Iterator[Apicurio]:
    try:
        started = Apicurio().__enter__()
    except (BrokerError, ModuleNotFoundError, OSError) as reason:
        skip_or_fail(f"a schema registry ({reason})")
    yield started
    started.__exit__(None, None, None)
