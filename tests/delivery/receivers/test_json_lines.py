"""A file of alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.contract.alert import parse_alert
from monitor.delivery.receivers.base import DeliveryError
from tests.delivery.receivers.notices import notice, send, settings


def test_each_alert_is_a_line_and_one_cut_short_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    path, one = tmp_path / "alerts", notice()
    to = settings(kind="file", path=path)
    send(to, one)
    with path.open("ab") as file:
        file.write(b'{"half')
    send(to, one, one)
    first, half, *rest = path.read_bytes().splitlines()
    assert half == b'{"half'
    assert [parse_alert(line) for line in (first, *rest)] == [one.alert] * 3


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="cannot be written: No such file or directory"):
        send(settings(kind="file", path=tmp_path / "gone" / "alerts"), notice())
