"""State as bytes: plain numbers, text and arrays in msgpack, never code."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np

VERSION = 14
"""Rises with every change of what a snapshot holds."""

_MAGIC = "brinkwatch-snapshot"
_ARRAY = 1


T = TypeVar("T")


class SnapshotError(ValueError):
    """A snapshot that this engine cannot go on from; the message says why and what to do."""


def to_state(value: Any) -> Any:
    """Dataclasses, alone or in lists and dicts, as plain values and arrays."""
    return msgspec.to_builtins(value, builtin_types=(bytes, np.ndarray), enc_hook=_encode_number)


def from_state(cls: type[T], state: Any) -> T:
    """The inverse: `from_state(list[Finding], state)`."""
    return msgspec.convert(state, cls, builtin_types=(bytes,))


def _encode_number(value: Any) -> Any:
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be part of a snapshot")


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        head = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, bytes([len(head)]) + head + value.tobytes())
    return _encode_number(value)


def _decode_array(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise SnapshotError(f"unknown extension {code} in the snapshot")
    size = data[0]
    dtype, shape = msgspec.msgpack.decode(data[1 : 1 + size])
    return np.frombuffer(data[1 + size :], dtype).reshape(shape).copy()


def pack(state: dict[str, Any], fingerprint: str) -> bytes:
    """`state` as bytes; `fingerprint` names the settings under which it came to be."""
    return msgspec.msgpack.encode(
        {"magic": _MAGIC, "version": VERSION, "settings": fingerprint, "state": state},
        enc_hook=_encode_array,
    )


def unpack(raw: bytes, fingerprint: str) -> dict[str, Any]:
    """The state that `pack` was given.

    Raises `SnapshotError` for bytes that are no snapshot, or one of another version or of other
    settings.
    """
    try:
        content = msgspec.msgpack.decode(raw, ext_hook=_decode_array)
    except Exception as error:  # the bytes may be anybody's: arrays of any type and shape
        raise SnapshotError(f"the snapshot cannot be read ({error}); remove it") from error
    keys = {"magic", "version", "settings", "state"}
    if not isinstance(content, dict) or content.keys() != keys or content["magic"] != _MAGIC:
        raise SnapshotError("this is no snapshot of brinkwatch; look at the path or topic")
    if content["version"] != VERSION:
        raise SnapshotError(
            f"the snapshot has version {content['version']}, this engine needs {VERSION}: start "
            "the engine that wrote it, or remove the snapshot to read the topics again from their "
            "start"
        )
    if content["settings"] != fingerprint:
        raise SnapshotError(
            f"the snapshot was made under settings {content['settings']}, these are {fingerprint}: "
            "restore the old configuration, or remove the snapshot to begin anew"
        )
    state = content["state"]
    if not isinstance(state, dict):
        raise SnapshotError("the snapshot has no state; remove it")
    return state
