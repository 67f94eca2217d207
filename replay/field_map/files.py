"""The files of a field map: on disk or in an object store, by patterns of their names.

A place is a path, a folder, a pattern (`orders/*.csv`, `**` for folders in between) or a URI that
pyarrow reads (`s3://bucket/orders/*.parquet`, `gs://`, `file://`).
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import fs

from monitor.errors import ConfigError, nearest_name
from replay.day import feed_files

_WILD = re.compile(r"[*?\[]")
_URI = re.compile(r"[a-z][a-z0-9+.-]+://")


@dataclass(frozen=True)
class RemoteFile:
    """A file of an object store; it opens as a path does."""

    store: Any
    path: str
    uri: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    def __str__(self) -> str:
        return self.uri

    def open(self, mode: str = "rb") -> BinaryIO:
        stream: BinaryIO = self.store.open_input_file(self.path)
        return stream


SourceFile = Path | RemoteFile


def find_files(place: str, base: Path) -> list[SourceFile]:
    """The files at `place`, in the order of their names; a path is relative to `base`.

    Raises `ConfigError` where there is none.
    """
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    if _URI.match(place):
        return [*_find_remote(place)]
    if _WILD.search(place) and not (base / place).exists():
        names = sorted(glob.glob(str(base / place), recursive=True))
        paths = feed_files.list_files([Path(name) for name in names])
    else:
        paths = feed_files.list_files([base / place])
    files = [path for path in dict.fromkeys(paths) if path.is_file()]
    if not files:
        raise ConfigError(f"no file is {base / place}{_mend(base / place)}")
    return [*files]


def _mend(path: Path) -> str:
    """What stands in the folder instead."""
    folder = path.parent
    if _WILD.search(str(folder)) or not folder.is_dir():
        return ": check the folder"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".")[:12]
    return f"; {nearest_name(path.name, names)}" if names else ": the folder is empty"


def _find_remote(uri: str) -> Iterator[RemoteFile]:
    """The files that a URI names, by a selection of everything below its part without wildcards."""
    fixed = uri[: match.start()] if (match := _WILD.search(uri)) else uri
    root = fixed if match is None else fixed.rpartition("/")[0]
    try:
        store, path = fs.FileSystem.from_uri(root)
        (info,) = store.get_file_info([path])
        if info.type == fs.FileType.File:
            infos = [info]
        else:
            infos = store.get_file_info(fs.FileSelector(path, recursive=True))
    except (pa.ArrowException, OSError, ValueError) as error:
        first = str(error).partition("\n")[0][:200]
        raise ConfigError(f"{uri} cannot be read ({first}): check the address and access") from None
    scheme = uri.partition("://")[0]
    pattern = _pattern(
        path + uri[len(root) :] if match else f"{path}/**" if infos != [info] else path
    )
    names = sorted(i.path for i in infos if i.type == fs.FileType.File and i.size)
    names = [name for name in names if pattern.fullmatch(name)]
    if not names:
        raise ConfigError(f"no file is {uri}: check the pattern; there are {len(infos)} files")
    for name in names:
        yield RemoteFile(store, name, f"{scheme}://{name}")


def _pattern(path: str) -> re.Pattern[str]:
    """A pattern of paths: `*` within a folder's name, `**` over folders."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]]+\])", path)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(_piece(part, wild) for part in parts))


def _piece(part: str, wild: dict[str, str]) -> str:
    if part in wild:
        return wild[part]
    return part if part.startswith("[") and part.endswith("]") else re.escape(part)


def matches(file: SourceFile, pattern: str) -> bool:
    """Whether a file that the user named is one of a pattern in the map: by its own name."""
    return fnmatchcase(file.name, PurePosixPath(pattern).name)
