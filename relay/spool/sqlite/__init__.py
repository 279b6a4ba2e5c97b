"""The store of a single machine: one file, one process that writes."""

from relay.spool.sqlite.store import SqliteSpool, open_spool

__all__ = ["SqliteSpool", "open_spool"]
