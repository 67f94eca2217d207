"""What pydantic finds wrong in a configuration, in words for the person who wrote it."""

from __future__ import annotations

import re
from typing import Any, get_args

from pydantic import BaseModel

from monitor.configuration.environment import variants_of
from monitor.configuration.origins import Origins
from monitor.errors import nearest_name


def fault_text(fault: Any, origins: Origins, model: type[BaseModel]) -> str:
    """One fault that pydantic found in values of `model`: the key, what is wrong with it, where the
    value is from, and how to mend it."""
    place = fault["loc"]
    key = ".".join(map(str, place))
    while not (sources := origins.all_of(place)) and place:
        place = place[:-1]
    source = f" ({', '.join(sources)})" if sources and place else ""
    if fault["type"] == "extra_forbidden":
        mend = nearest_name(str(fault["loc"][-1]), _keys_beside(fault["loc"], model))
        return f"{key}: no such key{source}; {mend}"
    return f"{key}: {_reason(fault)}{source}" if key else f"{_reason(fault)}{source}"


def _reason(fault: Any) -> str:
    """What is wrong with a value, and what it may be."""
    if fault["type"] == "literal_error" and isinstance(fault["input"], str):
        names = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        return f"{fault['input']!r} is none of its values; {nearest_name(fault['input'], names)}"
    if fault["type"] in _REASONS:
        return _REASONS[fault["type"]]
    message = str(fault["msg"]).removeprefix("Value error, ")
    return message.replace("Input should", "must").replace("String should", "must")


_REASONS = {
    "missing": "is needed here: set it",
    "string_too_short": "must not be empty: leave it out, or name something",
    "string_type": 'must be a text, in quotation marks: "..."',
    "tuple_type": 'must be a list, as ["a", "b"], or [[tables]]; in a variable as JSON',
    "dict_type": "must be a table: [name], its keys below; in a variable as JSON",
    "model_type": "must be a table: [name], its keys below; in a variable as JSON",
    "model_attributes_type": "must be a table: [name], its keys below; in a variable as JSON",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
}
"""In place of what pydantic says, which speaks of Python's types."""


def _keys_beside(location: tuple[Any, ...], model: Any) -> list[str]:
    """The keys that there are where the last key of `location` was given."""
    for part in location[:-1]:
        if part in model.model_fields:
            types = variants_of(model.model_fields[part].annotation)
            inner = [t for each in types for t in (each, *get_args(each))]
            models = [t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)]
            model = next(iter(models), model)
    return sorted(model.model_fields)
