"""What a configuration refers to, wherever in it that stands."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from relay.config.secret import SecretRef


def references(value: Any) -> Iterator[SecretRef | Path]:
    """Every secret and file that a configuration, or a part of one, names."""
    if isinstance(value, SecretRef | Path):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from references(each)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from references(getattr(value, each.name))
