"""Errors that a user can mend. Each message says how."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Sequence
from pathlib import Path

_NO_FOLDER = {errno.EEXIST, errno.ENOTDIR}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class BrinkwatchError(Exception):
    """The job failed: exit status 1."""


class ConfigError(BrinkwatchError):
    """Wrong usage or configuration: exit status 2."""


class UnknownNameError(ConfigError):
    """A market or an account that is not on record; the message names the nearest ones."""


class BusyError(BrinkwatchError):
    """Not now, or not here; the message says when, or where."""


class BrokerError(BrinkwatchError):
    """The try-out Kafka cannot be had; the message says why and what to do."""


def nearest_name(name: str, names: Sequence[str], otherwise: str | None = None) -> str:
    """The end of an error about a name that is not among `names`: the nearest one; where none is
    near, `otherwise`, or all of them."""
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(names)}" if otherwise is None else otherwise


def file_error(error: OSError) -> ConfigError | None:
    """What a failed operation on files means for the user; None: it is not about files."""
    if error.errno in _FULL:
        where = f" (while writing {error.filename})" if error.filename else ""
        return ConfigError(
            f"the disk is full, or the file grows beyond what is allowed{where}: free some space "
            "or name another place; what was begun is removed"
        )
    if error.filename is None and error.errno != errno.EIO:
        return None
    if error.errno in _NO_FOLDER and error.filename and Path(error.filename).is_file():
        return ConfigError(f"{error.filename} is a file, where a folder is needed: name another")
    what = error.strerror or type(error).__name__
    return ConfigError(f"{error.filename or 'a file'}: {what}: check the path and its permissions")


def reason_unread(error: Exception) -> str:
    """Why a parser stopped, for the end of a sentence: `RecursionError` and the `ValueError` of an
    integer with thousands of digits say nothing to a user."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return "an integer of thousands of digits" if type(error) is ValueError else str(error)


def read_text(file: str | Path, bytes_max: int) -> str:
    """A text that a user wrote (`-`: standard input); raises `ConfigError` where it cannot be read
    as UTF-8 or is longer than `bytes_max`."""
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with Path(file).open("rb") as stream:
                raw = stream.read(bytes_max + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    if len(raw) > bytes_max:
        raise ConfigError(f"{file} is longer than {bytes_max >> 20} MiB: give a smaller file")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        reason = f"{error.reason} at byte {error.start}"
        raise ConfigError(f"{file} is not UTF-8 text ({reason}): save it as UTF-8") from error
