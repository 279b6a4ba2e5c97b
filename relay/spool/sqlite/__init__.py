"""The store of a single machine: one file, one process that writes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relay.spool.sqlite.store import SqliteSpool, open_spool

__all__ = ["SqliteSpool", "open_spool"]


def __getattr__(name: str) -> Any:
    # Late: the process that writes is in this package too, and needs no event loop.
    if name not in __all__:
        raise AttributeError(name)
    from relay.spool.sqlite import store

    return getattr(store, name)
