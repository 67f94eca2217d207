"""Configuration: TOML file < environment < command line. The only home of numbers."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from monitor.core.settings import EngineSettings
from monitor.errors import ConfigError

ENGINE_KEYS = tuple(EngineSettings.model_fields)


class Config(EngineSettings, BaseSettings):
    """Everything that can be set. Environment: `BRINKWATCH_`, with `__` between levels."""

    model_config = SettingsConfigDict(
        env_prefix="BRINKWATCH_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line's values, then the environment's, then the file's."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        file = given.pop("_from_file", {})
        return (
            InitSettingsSource(settings_cls, given),
            env_settings,
            InitSettingsSource(settings_cls, file),
        )

    def engine(self) -> EngineSettings:
        """The part that decides what the engine makes of a set of records."""
        return EngineSettings(**{key: getattr(self, key) for key in ENGINE_KEYS})


def load(path: Path | None = None, **overrides: Any) -> Config:
    """Read the configuration; raises `ConfigError` that names the key and how to mend it."""
    held: dict[str, Any] = {}
    if path is not None:
        try:
            held = tomllib.loads(path.read_text())
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        return Config(**{"_from_file": held, **overrides})
    except ValidationError as error:
        raise ConfigError("\n".join(_words(e, path) for e in error.errors())) from error


def _words(error: Any, path: Path | None) -> str:
    where = ".".join(str(part) for part in error["loc"])
    source = f" ({path}, or the environment)" if path else ""
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}{source}"
    known = _keys_beside(error["loc"])
    near = difflib.get_close_matches(str(error["loc"][-1]), known, 1)
    mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{where}: no such key{source}; {mend}"


def _keys_beside(location: tuple[Any, ...]) -> list[str]:
    model: Any = Config
    for part in location[:-1]:
        if isinstance(part, str) and part in getattr(model, "model_fields", {}):
            annotation = model.model_fields[part].annotation
            model = next(
                (
                    a
                    for a in (annotation, *getattr(annotation, "__args__", ()))
                    if isinstance(a, type) and issubclass(a, BaseModel)
                ),
                model,
            )
    return sorted(model.model_fields)
