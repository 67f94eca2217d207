"""Files of messages, each after its length."""

from __future__ import annotations

import io

import pytest
from google.protobuf.proto import serialize_length_prefixed

from monitor.errors import ConfigError
from monitor.sources.formats.protobuf.files import split_messages
from tests.sources.formats.protobuf.schemas import classes

TRADE = classes()["Trade"]


def test_messages_are_split_as_the_library_joins_them() -> None:
    stream = io.BytesIO()
    sizes = [0, 1, 100, 200, 20_000]
    for size in sizes:
        serialize_length_prefixed(TRADE(symbol="x" * size), stream)
    stream.seek(0)
    messages = [TRADE.FromString(raw) for raw in split_messages("f", stream)]
    assert [len(message.symbol) for message in messages] == sizes


@pytest.mark.parametrize("raw", [b"\x05abc", b"\x80", b"\xff" * 9, b"\xff\xff\xff\xff\x0f" + b"x"])
def test_a_length_that_cannot_be_one_ends_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(ConfigError, match=r"orders\.bin is damaged after 1 messages"):
        list(split_messages("orders.bin", io.BytesIO(b"\x01a" + raw)))
