"""Raw batches are for versions of aiokafka with which they were tested."""

from __future__ import annotations

import aiokafka
import pytest

from monitor.kafka.record_batches.raw_fetch import TESTED_VERSIONS, fetch_in_use, untested_version


def test_the_installed_aiokafka_is_one_of_those_tested() -> None:
    assert aiokafka.__version__ in TESTED_VERSIONS
    assert fetch_in_use("batches") == "batches"
    assert fetch_in_use("getmany") == "getmany"


def test_with_another_version_records_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka, "__version__", "9.9.9")
    assert fetch_in_use("batches") == "getmany"
    assert "9.9.9" in untested_version()
