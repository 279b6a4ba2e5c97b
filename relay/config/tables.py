"""The tables of the file as schema objects: what can be read is, and every fault is noted.

A table with a faulty key is read once more without that key, so that the checks which follow
see the rest of it and report theirs in the same run.
"""

from __future__ import annotations

import copy
import types
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from relay.config import schema
from relay.config.locate import Path
from relay.config.messages import schema_fault, unknown_key
from relay.config.problems import Problems

M = TypeVar("M", bound=schema.Table)
Read = list[tuple[Path, M]]


@dataclass(slots=True)
class Tables:
    """The file, table by table; of an array those elements that could be read, with their paths."""

    top: schema.TopTable
    spool: schema.SpoolTable
    sender: schema.SenderTable
    delivery: schema.DeliveryTable
    web: schema.WebTable
    listeners: Read[schema.ListenerTable] = field(default_factory=list)
    clients: Read[schema.ClientTable] = field(default_factory=list)
    smarthosts: Read[schema.SmarthostTable] = field(default_factory=list)
    routes: Read[schema.RouteTable] = field(default_factory=list)
    dkim: Read[schema.DkimTable] = field(default_factory=list)
    alarms: Read[schema.AlarmTable] = field(default_factory=list)


def read_tables(document: dict[str, Any], problems: Problems) -> Tables:
    """All tables of a parsed file; unknown ones, and what cannot be read, go to `problems`."""
    scalars = list(schema.TopTable.model_fields)
    known = [*scalars, *schema.TABLES, *schema.ARRAYS]
    for name in document:
        if name not in known:
            problems.error((name,), *unknown_key(name, known))
    top = {name: value for name, value in document.items() if name in scalars}
    return Tables(
        top=_read(schema.TopTable, top, (), problems) or schema.TopTable(),
        spool=_one(schema.SpoolTable, document, "spool", problems),
        sender=_one(schema.SenderTable, document, "sender", problems),
        delivery=_one(schema.DeliveryTable, document, "delivery", problems),
        web=_one(schema.WebTable, document, "web", problems),
        listeners=_many(schema.ListenerTable, document, "listener", problems),
        clients=_many(schema.ClientTable, document, "client", problems),
        smarthosts=_many(schema.SmarthostTable, document, "smarthost", problems),
        routes=_many(schema.RouteTable, document, "route", problems),
        dkim=_many(schema.DkimTable, document, "dkim", problems),
        alarms=_many(schema.AlarmTable, document, "alarm", problems),
    )


def _one(model: type[M], document: dict[str, Any], name: str, problems: Problems) -> M:
    value = document.get(name, {})
    if not isinstance(value, dict):
        problems.error((name,), f"moet een tabel zijn: [{name}]", f"must be a table: [{name}]")
        value = {}
    return _read(model, value, (name,), problems) or model()


def _many(model: type[M], document: dict[str, Any], name: str, problems: Problems) -> Read[M]:
    value = document.get(name, [])
    if not isinstance(value, list):
        nl, en = f"schrijf dubbele haken: [[{name}]]", f"write double brackets: [[{name}]]"
        problems.error((name,), nl, en)
        problems.dropped.add((name,))
        return []
    elements: Read[M] = []
    for index, element in enumerate(value):
        if (table := _read(model, element, (name, index), problems)) is not None:
            elements.append(((name, index), table))
    return elements


def _read(model: type[M], data: Any, path: Path, problems: Problems) -> M | None:
    """The table, None if nothing of it can be read."""
    rest = copy.deepcopy(data)
    bad: set[Path] = set()
    while () not in bad:
        try:
            table = model.model_validate(rest)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
        else:
            problems.dropped.update((*path, *place) for place in bad)
            return table
        places = [_place(rest, error) for error in errors]
        if not bad:  # what comes up later follows from what was left out
            for place, error in zip(places, errors, strict=True):
                problems.error((*path, *place), *schema_fault(error, _valid_keys(model, place)))
        for place, error in reversed(list(zip(places, errors, strict=True))):
            # Nothing to leave out cures a missing key: its table goes.
            bad.add(place := place[:-1] if error["type"] == "missing" else place)
            _drop(rest, place)
    problems.dropped.add(path)
    return None


def _place(data: Any, error: ErrorDetails) -> Path:
    """The path of an error in the data; pydantic's own marks for a branch of a union left out."""
    place: Path = ()
    for part in error["loc"]:
        if _holds(data, part):
            data = data[part]
        elif error["type"] != "missing" or part != error["loc"][-1]:
            continue
        place = (*place, part)
    return place


def _drop(data: Any, place: Path) -> None:
    for part in place[:-1]:
        data = data[part] if _holds(data, part) else None
    if place and _holds(data, place[-1]):
        del data[place[-1]]


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _valid_keys(model: type[BaseModel], place: Path) -> list[str]:
    """The keys of the table in which `place` stands."""
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _table_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return next(filter(None, map(_table_in, typing.get_args(annotation))), None)
    return None
