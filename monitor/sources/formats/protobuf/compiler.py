"""Protobuf's schemas, in the three ways that they are handed on, as descriptors.

A file of definitions (`.proto`), which Google's own compiler reads; a compiled set of descriptors
(`protoc --include_imports --descriptor_set_out=FILE`); one descriptor in base64, which is what
Confluent's Python client registers.
"""

from __future__ import annotations

import binascii
import re
import subprocess
import sys
import tempfile
from base64 import b64decode
from pathlib import Path, PurePosixPath

# The types that every schema may use without being given them.
from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from monitor.sources.formats.schemas import Schema, SchemaError

COMPILER_TIMEOUT_S = 30.0
_WARNING = re.compile(r"^W\d{4} |^WARNING|: warning:")
MAIN = "brinkwatch_main.proto"
"""What a schema without a file name is called while it is compiled."""
_GOOGLE = {
    module.DESCRIPTOR.name: FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    for module in (
        descriptor_pb2, any_pb2, source_context_pb2, type_pb2, api_pb2, duration_pb2, empty_pb2,
        field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2,
    )
}  # fmt: skip
_CONFLUENT = {
    # Registries take these two for granted: what a field's number in them means is all that counts.
    "confluent/type/decimal.proto": """
        syntax = "proto3";
        package confluent.type;
        message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
    """,
    "confluent/meta.proto": """
        syntax = "proto3";
        package confluent;
        import "google/protobuf/descriptor.proto";
        message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
        extend google.protobuf.FileOptions { Meta file_meta = 1088; }
        extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
        extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
        extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
        extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
    """,
}


def load_schema(schema: Schema) -> tuple[DescriptorPool, FileDescriptorProto]:
    """All types of a schema, and the file of its own messages (the last one of a set); raises
    `SchemaError`."""
    if schema.path and not schema.path.endswith(".proto"):
        files = _read_set(schema.source)
    elif schema.path:
        files = _compile_path(Path(schema.path))
    else:
        files = _load_sources(schema)
    pool = DescriptorPool()
    try:
        for file in _GOOGLE.values():
            if all(file.name != other.name for other in files):
                pool.Add(file)
        for file in files:
            pool.Add(file)
        pool.FindFileByName(files[-1].name)
    except (TypeError, KeyError) as error:
        raise SchemaError(f"no Protobuf schema: {error}") from error
    return pool, files[-1]


def _read_set(source: bytes) -> list[FileDescriptorProto]:
    try:
        files = list(FileDescriptorSet.FromString(source).file)
    except DecodeError:
        files = []
    if not files:
        raise SchemaError(
            "no set of Protobuf descriptors: make one with protoc --include_imports "
            "--descriptor_set_out=FILE, or name the .proto file"
        )
    return files


def _load_sources(schema: Schema) -> list[FileDescriptorProto]:
    """Of a registry: each schema is text or a descriptor in base64, whatever its producer wrote."""
    named = [*schema.references, (MAIN, schema.source)]
    described = [_read_base64(source) for _, source in named]
    if described[-1] is None:
        if any(described):
            raise SchemaError("a Protobuf schema of both text and descriptors: register it as one")
        return _compile_sources(dict(named))
    files = []
    for (name, _), file in zip(named, described, strict=True):
        if file is None:
            raise SchemaError("a Protobuf schema of both text and descriptors: register it as one")
        if name != MAIN:
            file.name = name
        files.append(file)
    return files


def _read_base64(source: bytes) -> FileDescriptorProto | None:
    try:
        return FileDescriptorProto.FromString(b64decode(source, validate=True))
    except (binascii.Error, DecodeError):
        return None


def _compile_sources(sources: dict[str, bytes]) -> list[FileDescriptorProto]:
    with tempfile.TemporaryDirectory(prefix="brinkwatch-proto-") as folder:
        for name, source in sources.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise SchemaError(f"a Protobuf schema with a reference named {name!r}")
            _write(Path(folder, path), source)
        return _compile(Path(folder), MAIN)


def _compile_path(path: Path) -> list[FileDescriptorProto]:
    return _compile(path.resolve().parent, path.name)


def _write(path: Path, source: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source)


def _compile(folder: Path, name: str) -> list[FileDescriptorProto]:
    """Run the compiler in a process of its own: it writes its errors to the process's own stderr.

    Imports are looked up in `folder`.
    """
    import grpc_tools

    google = Path(grpc_tools.__file__).with_name("_proto")
    with tempfile.TemporaryDirectory(prefix="brinkwatch-proto-") as place:
        for path, source in _CONFLUENT.items():
            _write(Path(place, path), source.encode())
        out = Path(place, "descriptors")
        command = [
            sys.executable, "-m", "grpc_tools.protoc", "--proto_path=.", f"--proto_path={google}",
            f"--proto_path={place}", "--include_imports", f"--descriptor_set_out={out}", name,
        ]  # fmt: skip
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=COMPILER_TIMEOUT_S, cwd=folder,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise SchemaError("a Protobuf schema that took too long to compile") from error
        if run.returncode:
            errors = [line for line in run.stderr.splitlines() if line.strip()]
            errors = [line for line in errors if not _WARNING.search(line)]
            raise SchemaError(f"no Protobuf schema: {'; '.join(errors[:3]) or 'protoc failed'}")
        return _read_set(out.read_bytes())
