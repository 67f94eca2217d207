"""The files of a venue's recording: plain or compressed lines, Parquet, folders of them.

A file's first bytes say what it is. A truncated stream yields all that can be read.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

CHUNK_LINES = 16_384
CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 1 << 24
"""A longer line is cut in pieces, each of which is refused."""

_GZIP, _XZ, _ZSTD, _PARQUET = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PAR1"


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


def is_parquet(path: Path) -> bool:
    """Whether the file's first bytes are Parquet's."""
    with path.open("rb") as stream:
        return stream.read(4) == _PARQUET


class LineReader:
    """The lines of a file, without their newlines.

    `truncated` says after reading whether the compressed stream ended too early or was damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.truncated = False

    def _read_pieces(self) -> Iterator[bytes]:
        with self._path.open("rb") as stream:
            head = stream.read(6)
            stream.seek(0)
            if head.startswith(_GZIP):
                make = partial(zlib.decompressobj, 31)
                yield from self._decompress_members(stream, make, zlib.error)
            elif head.startswith(_XZ):
                yield from self._decompress_members(stream, lzma.LZMADecompressor, lzma.LZMAError)
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
            data = rest or stream.read(CHUNK_BYTES)
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

    def __iter__(self) -> Iterator[list[bytes]]:
        """The lines in lists of up to `CHUNK_LINES`."""
        lines: list[bytes] = []
        rest = b""
        for piece in self._read_pieces():
            *complete, rest = (rest + piece).split(b"\n")
            lines += complete
            while len(rest) > LINE_BYTES_MAX:
                lines.append(rest[:LINE_BYTES_MAX])
                rest = rest[LINE_BYTES_MAX:]
            while len(lines) >= CHUNK_LINES:
                yield [line.removesuffix(b"\r") for line in lines[:CHUNK_LINES]]
                lines = lines[CHUNK_LINES:]
        lines += [rest] if rest else []
        if lines:
            yield [line.removesuffix(b"\r") for line in lines]
