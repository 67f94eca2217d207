"""The files of a venue's recording: plain or compressed lines, Parquet, folders of them.

A file's first bytes say what it is. A truncated stream yields all that can be read.
"""

from __future__ import annotations

import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import pyarrow as pa

from monitor.errors import ConfigError

CHUNK_LINES = 16_384
CHUNK_LINES_BYTES = 1 << 26
"""Lines of so many bytes are read at once, however few they are."""
CHUNK_BYTES = 1 << 20
PACKED_BYTES = 1 << 12
"""Compressed bytes that are unpacked at once: gzip makes a thousand times as many of them at most,
xz some thousand times."""
XZ_MEMORY_BYTES = 1 << 29
RATIO_MAX, RATIO_FREE_BYTES = 250, 1 << 24
"""A file may unpack to so many times its size, or to so many bytes. JSON lines reach 10 to 40."""
LINE_BYTES_MAX = 1 << 24
LONG_LINE_BYTES_KEPT = 1 << 20
"""Of a longer line so many bytes are kept; it is refused."""
FIELDS_SHOWN = 8

_GZIP, _XZ, _ZSTD, _PARQUET = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PAR1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK_LINES = re.compile(rb"\n[ \t\r\n]*\n")
_OTHER_FORMS = {
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"BZh": "bzip2: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    _PARQUET: "Parquet",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "PDF",
}


class ReadableFile(Protocol):
    """What is read: a path, or a file of an object store."""

    @property
    def name(self) -> str: ...

    def open(self, mode: Literal["rb"], /) -> BinaryIO: ...


def list_files(paths: list[Path]) -> list[Path]:
    """The files to read, in order: a folder's by name, without hidden files and READMEs."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file())
            files += [p for p in inside if p.name[0] != "." and not p.name.startswith("README")]
        else:
            files.append(path)
    return files


def is_parquet(path: ReadableFile) -> bool:
    """Whether the file's first bytes are Parquet's."""
    with path.open("rb") as stream:
        return stream.read(4) == _PARQUET


def describe(path: ReadableFile) -> str | None:
    """What a file that is not read as a feed looks like, and what to do; None: like lines of text.

    Judged by the first bytes, unpacked where the file is gzip, xz or zstd.
    """
    head = next(LineReader(path).pieces(), b"")[:4_096]
    for magic, form in _OTHER_FORMS.items():
        if head.startswith(magic):
            return form
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(0) > len(head) // 4:
        return "UTF-16 text or binary data (text: convert it, as by iconv -f UTF-16 -t UTF-8)"
    if head.lstrip()[:1] == b"<":
        return "HTML or XML, as a server's error page is"
    return None


def describe_fields(path: Path) -> str | None:
    """What the first line says of a text file's fields; None where it says nothing."""
    lines = next(iter(LineReader(path)), [])
    if not lines:
        return None
    head = lines[0][:4_096].decode(errors="replace")
    if head.startswith("{"):
        try:
            return f"JSON lines with {list_fields(list(json.loads(lines[0])))}"
        except (ValueError, RecursionError):
            return None
    for mark in (",", ";", "\t", "|"):
        if mark in head:
            return f"CSV with {list_fields(head.split(mark))}"
    return None


def list_fields(names: list[str]) -> str:
    """The names of fields in a sentence, the first ones of many."""
    shown = ", ".join(name.strip()[:40] for name in names[:FIELDS_SHOWN])
    more = f" and {len(names) - FIELDS_SHOWN} more" if len(names) > FIELDS_SHOWN else ""
    return f"the fields {shown}{more}"


class LineReader:
    """The lines of a file, without their newlines. Blank lines are skipped.

    After reading, `truncated` says whether the compressed stream ended too early or was damaged;
    `blank` and `cut` are the numbers of blank lines and of lines that were too long. Raises
    `ConfigError` for a file that unpacks to more than any feed does.
    """

    def __init__(self, path: ReadableFile) -> None:
        self._path = path
        self.truncated = False
        self.blank = self.cut = 0

    def pieces(self) -> Iterator[bytes]:
        """The file's content, unpacked."""
        with self._path.open("rb") as stream:
            unpacked = 0
            for piece in self._unpack(stream):
                unpacked += len(piece)
                if unpacked > RATIO_FREE_BYTES and unpacked > RATIO_MAX * stream.tell():
                    raise ConfigError(
                        f"{self._path} unpacks to more than {RATIO_MAX} times its size, as no feed "
                        "does: look at what is in it, and unpack it first if that is right"
                    )
                yield piece

    def _unpack(self, stream: BinaryIO) -> Iterator[bytes]:
        head = stream.read(6)
        stream.seek(0)
        if head.startswith(_GZIP):
            yield from self._decompress_members(stream, partial(zlib.decompressobj, 31), zlib.error)
        elif head.startswith(_XZ):
            make = partial(lzma.LZMADecompressor, memlimit=XZ_MEMORY_BYTES)
            yield from self._decompress_members(stream, make, lzma.LZMAError)
        elif head.startswith(_ZSTD):
            source = pa.CompressedInputStream(stream, "zstd")
            try:
                while piece := source.read(CHUNK_BYTES):
                    yield piece
            except OSError:
                self.truncated = True
        else:
            while piece := stream.read(CHUNK_BYTES):
                yield piece

    def _decompress_members(
        self, stream: BinaryIO, make: Callable[[], Any], error: type[Exception]
    ) -> Iterator[bytes]:
        """The content of gzip or xz streams, one after another."""
        member, rest, started = make(), b"", False
        while True:
            data = rest or stream.read(PACKED_BYTES)
            if not data:
                self.truncated |= started
                return
            try:
                piece = member.decompress(data)
            except error:
                self.truncated |= started or bool(data.strip(b"\0"))  # zeros are padding
                return
            started, rest = True, b""
            if piece:
                yield piece
            if member.eof:
                member, rest, started = make(), member.unused_data.lstrip(b"\0"), False

    def _split(self, fold_blank: bool = True) -> Iterator[list[bytes]]:
        """The lines of each piece, blank ones among them; of a line that is too long its start.

        fold_blank: leave out blank lines between others, unseen one by one.
        """
        rest, skipping = b"", False
        for number, piece in enumerate(self.pieces()):
            if number == 0:
                piece = piece.removeprefix(BYTE_ORDER_MARK)
            if fold_blank:
                few = _BLANK_LINES.sub(b"\n", piece)
                self.blank += piece.count(b"\n") - few.count(b"\n")
                piece = few
            *complete, rest = (rest + piece).split(b"\n")
            if complete and skipping:
                del complete[0]
                skipping = False
            if skipping:
                rest = b""
            elif len(rest) > LINE_BYTES_MAX:
                complete.append(rest[:LONG_LINE_BYTES_KEPT])
                self.cut += 1
                rest, skipping = b"", True
            yield complete
        yield [rest] if rest else []

    def numbered(self) -> Iterator[tuple[int, bytes]]:
        """All lines with their numbers, from 1, blank ones too."""
        for number, line in enumerate(chain.from_iterable(self._split(fold_blank=False)), 1):
            yield number, line.removesuffix(b"\r")

    def __iter__(self) -> Iterator[list[bytes]]:
        """The lines in lists of up to `CHUNK_LINES`."""
        lines: list[bytes] = []
        size = 0
        for split in self._split():
            written = [line.removesuffix(b"\r") for line in split if line and not line.isspace()]
            self.blank += len(split) - len(written)
            lines += written
            size += sum(map(len, written))
            while len(lines) >= CHUNK_LINES or size > CHUNK_LINES_BYTES:
                yield lines[:CHUNK_LINES]
                lines = lines[CHUNK_LINES:]
                size = sum(map(len, lines))
        if lines:
            yield lines
