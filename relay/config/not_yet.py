"""The keys that parse and have no effect in this version. What gets built leaves this set."""

from __future__ import annotations

from collections.abc import Iterator

from relay.config.locate import Path

# table.key; table alone: all of it; with a value: that value only.
NOT_YET = frozenset(
    {
        "listener.proxy_protocol",
        "spool.password",
    }
)


def without_effect(document: dict[str, object]) -> Iterator[Path]:
    """The keys written in `document` that have no effect yet; off or empty ones change nothing."""
    for name, tables in document.items():
        elements = tables if isinstance(tables, list) else [tables]
        for index, table in enumerate(elements):
            path: Path = (name, index) if isinstance(tables, list) else (name,)
            if name in NOT_YET:
                yield path
            elif isinstance(table, dict):
                for key, value in table.items():
                    if f"{name}.{key}={value}" in NOT_YET or (value and f"{name}.{key}" in NOT_YET):
                        yield (*path, key)
