"""Which translator a source has: that of its field map, or a venue's adapter."""

from __future__ import annotations

from importlib.metadata import entry_points

from monitor.errors import ConfigError, nearest_name
from monitor.sources.adapter_lines import AdapterTranslator
from monitor.sources.canonical import CanonicalTranslator
from monitor.sources.field_map.translator import FieldMapTranslator
from monitor.sources.formats.base import FORMATS, PARQUET
from monitor.sources.formats.schemas import SchemaStore
from monitor.sources.settings import SourceSettings
from monitor.sources.translation import Translator
from monitor.venues.adapter import LineAdapter, OptionError, VenueAdapter

CANONICAL = "canonical"
"""Live alone: records in the contract's own form go on as they are."""


def make_live_translator(
    name: str, settings: SourceSettings, registry: SchemaStore | None = None
) -> Translator:
    """The translator of a source that is a topic; as `make_translator`."""
    if settings.format == CANONICAL and not settings.fields and not settings.by_kind:
        return CanonicalTranslator(settings.kinds[0] if len(settings.kinds) == 1 else None)
    return make_translator(name, settings, registry)


def make_translator(
    name: str, settings: SourceSettings, registry: SchemaStore | None = None
) -> FieldMapTranslator | AdapterTranslator:
    """The translator of the source called `name`, as the configuration has it.

    registry: where the schemas of Avro and Protobuf records are; with one `translate` may raise
    `RegistryUnavailableError`. Raises `ConfigError` that says where the settings are wrong and how
    to mend them.
    """
    if settings.format in (*FORMATS, PARQUET):
        return FieldMapTranslator(name, settings, registry)
    adapter = make_adapter(name, settings)
    if not isinstance(adapter, LineAdapter):
        raise ConfigError(
            f"source.{name}.format: {settings.format} is read from whole files only: "
            f"brinkwatch import {settings.format} FILE... OUT"
        )
    return AdapterTranslator(adapter)


def make_adapter(name: str, settings: SourceSettings) -> VenueAdapter:
    """The venue's adapter that a source names as its format; raises `ConfigError`."""
    installed = {entry.name: entry for entry in entry_points(group="brinkwatch.venues")}
    if settings.format not in installed:
        names = [*FORMATS, PARQUET, *sorted(installed)]
        raise ConfigError(
            f"source.{name}.format: no format {settings.format!r}; "
            f"{nearest_name(settings.format, names)}"
        )
    if settings.kind is not None or settings.fields or settings.by_kind:
        raise ConfigError(
            f"source.{name}: {settings.format} knows its venue's records: take kind, fields and "
            "by_kind out"
        )
    try:
        adapter: VenueAdapter = installed[settings.format].load()({})
    except OptionError as error:
        raise ConfigError(f"source.{name}: {error}") from None
    return adapter
