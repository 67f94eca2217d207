"""State as bytes: plain numbers, text and arrays in msgpack, never code."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np

VERSION = 7
"""Rises with every change of what a snapshot holds."""

_T = TypeVar("_T")
_MAGIC = "brinkwatch-snapshot"
_ARRAY = 1


class SnapshotError(ValueError):
    """A snapshot that this engine cannot go on from; the words say why and what to do."""


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        head = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, bytes([len(head)]) + head + value.tobytes())
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be part of a snapshot")


def _decode_array(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise SnapshotError(f"unknown extension {code} in the snapshot")
    size = data[0]
    dtype, shape = msgspec.msgpack.decode(data[1 : 1 + size])
    return np.frombuffer(data[1 + size :], dtype).reshape(shape).copy()


def to_state(value: Any) -> Any:
    """Dataclasses and tuples, also within lists and dicts, as plain dicts and lists."""
    return msgspec.to_builtins(value, enc_hook=_encode_array)


def from_state(cls: type[_T], data: Any) -> _T:
    """The value of type `cls` that `to_state` made plain."""
    return msgspec.convert(data, cls)


def pack(state: dict[str, Any], fingerprint: str) -> bytes:
    """Make bytes of `state`; `fingerprint` names the settings it was made under."""
    return msgspec.msgpack.encode(
        {"magic": _MAGIC, "version": VERSION, "settings": fingerprint, "state": state},
        enc_hook=_encode_array,
    )


def unpack(raw: bytes, fingerprint: str) -> dict[str, Any]:
    """The state that `pack` was given. Raises `SnapshotError` where it cannot be gone on from."""
    try:
        held = msgspec.msgpack.decode(raw, ext_hook=_decode_array)
    except (msgspec.DecodeError, ValueError, TypeError, IndexError) as error:
        raise SnapshotError(f"the snapshot cannot be read ({error}); remove it") from error
    if not isinstance(held, dict) or held.get("magic") != _MAGIC:
        raise SnapshotError("this is no snapshot of brinkwatch; look at the path or topic")
    if held["version"] != VERSION:
        raise SnapshotError(
            f"the snapshot has version {held['version']}, this engine needs {VERSION}: start the "
            "engine that wrote it, or remove the snapshot to read the topics again from their start"
        )
    if held["settings"] != fingerprint:
        raise SnapshotError(
            f"the snapshot was made under settings {held['settings']}, these are {fingerprint}: "
            "restore the old configuration, or remove the snapshot to begin anew"
        )
    state = held["state"]
    assert isinstance(state, dict)
    return state
