"""Where each value of a configuration comes from: the file, a preset, the environment, a default."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import PydanticUndefined

from relay.config import schema
from relay.config.locate import Path as KeyPath
from relay.config.locate import line_of, locate
from relay.config.model import Config, SenderPolicy
from relay.config.problems import key
from relay.config.secret import SecretRef
from relay.config.units import UNIT_SECONDS

MASK = "***"

_BY_ENVIRONMENT = {("language",), ("hostname",), ("spool", "url")}
_OF_PRESET = frozenset(
    {"host", "port", "tls", "allowed_senders", "authority", "scopes"}
    | {"authorize_endpoint", "token_endpoint"}
)
"""What a smarthost's preset says unless the file does; of limits only those that it knows."""
_LIMITS = frozenset({"messages_per_minute", "messages_per_day", "recipients_per_day"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One value in force, as JSON has it; a secret is the reference to it.

    `origin` is default, file:LINE, preset:NAME or environment. `changed`: the file says something
    else than the default.
    """

    path: str
    value: object
    origin: str
    changed: bool


def entries(config: Config, text: str | None) -> Iterator[Entry]:
    """Every value of a configuration; `text` is that of its file, None without one."""
    try:
        document = tomllib.loads(text or "")
    except (ValueError, RecursionError):
        text, document = None, {}
    view = _View(document, locate(text or ""))
    yield from view.table(schema.TopTable, config, ())
    for name, model in schema.TABLES.items():
        yield from view.table(model, getattr(config, name), (name,))
    for name, model in schema.ARRAYS.items():
        for index, element in enumerate(getattr(config, name if name == "dkim" else f"{name}s")):
            yield from view.table(model, element, (name, index))


@dataclass(frozen=True, slots=True)
class _View:
    """The file, as it was parsed and by line."""

    document: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def table(
        self, model: type[schema.Table], values: object, path: KeyPath, preset: str | None = None
    ) -> Iterator[Entry]:
        preset = preset or getattr(values, "preset", None)
        for name, about in model.model_fields.items():
            place = (*path, name)
            written = self._written(place)
            value = _value_of(values, name, path)
            if value is _ABSENT:  # checked, and of no further use: open = true
                value = about.default if written is None else written
            if isinstance(value, SenderPolicy) and name in ("sender", "policy"):
                yield from self.table(schema.SenderTable, value, (*path, "sender"))
            elif name == "oauth2" and value is not None:
                yield from self.table(schema.OAuth2Table, value, place, preset)
            elif value is not None or written is not None:
                origin = self._origin(place, value, preset)
                yield self._entry(place, value, origin, about.default)

    def _entry(self, place: KeyPath, value: object, origin: str, default: object) -> Entry:
        default = [] if default is PydanticUndefined else default
        shown = _json(value)
        changed = origin.startswith("file") and shown != _json(default)
        return Entry(key(place), _masked(place, shown), origin, changed)

    def _origin(self, place: KeyPath, value: object, preset: str | None) -> str:
        if self._written(place) is not None:
            return f"file:{line_of(self.lines, place)}"
        if preset is not None and place[0] == "smarthost":
            limit = place[-1] in _LIMITS and value is not None
            if limit or place[-1] in _OF_PRESET:
                return f"preset:{preset}"
        return "environment" if place in _BY_ENVIRONMENT else "default"

    def _written(self, place: KeyPath) -> object:
        """What the file has there; None: nothing."""
        found: Any = self.document
        for part in place:
            if isinstance(part, int):
                found = found[part] if isinstance(found, list) and part < len(found) else None
            else:
                found = found.get(part) if isinstance(found, dict) else None
        return found


_ABSENT = object()


def _value_of(values: object, name: str, path: KeyPath) -> object:
    """The value that goes by the schema's `name` in the model."""
    if name == "address" and hasattr(values, "host"):
        host, port = values.host, values.port  # type: ignore[attr-defined]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if path[:1] == ("route",) and name == "smarthost":
        name = "smarthosts"
    if path[:1] == ("route",) and name == "sender":
        policy = getattr(values, "policy", None)
        return policy if policy is not None else getattr(values, "sender", None)
    return getattr(values, name, _ABSENT)


def _json(value: object) -> object:
    """The value as the file writes it, in JSON."""
    if isinstance(value, SecretRef):
        return {value.kind: value.name}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, tuple) and hasattr(value, "port"):
        return f"{value[0]}:{value[1]}"
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(name): _json(each) for name, each in value.items()}
    return value.as_posix() if isinstance(value, Path) else str(value)


def _masked(place: KeyPath, shown: object) -> object:
    """A webhook's path is what lets its holder post there."""
    if place[-1] == "webhook" and isinstance(shown, str):
        parts = urlsplit(shown)
        return f"{parts.scheme}://{parts.hostname}/{MASK}"
    return shown


def _duration(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    for unit, each in sorted(UNIT_SECONDS.items(), key=lambda pair: -pair[1]):
        if unit != "w" and seconds and seconds % each == 0:
            return f"{seconds // each}{unit}"
    return f"{seconds}s"
