"""The connection that writes of a spool opened in this process."""

import sqlite3

from relay.spool.sqlite import SqliteSpool
from relay.spool.sqlite.writer_thread import ThreadWriter


def writer_of(spool: SqliteSpool) -> ThreadWriter:
    """The thread that writes."""
    assert isinstance(spool._writer, ThreadWriter)
    return spool._writer


def connection_of(spool: SqliteSpool) -> sqlite3.Connection:
    """Not to be used while the spool is."""
    return writer_of(spool).connection
