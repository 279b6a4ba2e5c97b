"""The store of several nodes: one PostgreSQL database, directly or through PgBouncer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from relay.clock import utc_now
from relay.config.secret import SecretRef
from relay.spool.errors import SpoolError
from relay.spool.postgres.server import Server

if TYPE_CHECKING:
    from relay.spool.postgres.store import PostgresSpool

__all__ = ["Server", "examine", "open_spool"]


async def open_spool(
    server: Server,
    clock: Callable[[], datetime] = utc_now,
    secret_key: SecretRef | None = None,
    *,
    serving: bool = False,
    node: str | None = None,
) -> PostgresSpool:
    """Open, and if need be make or migrate, the spool in a database.

    `serving` is for the service: leases are kept alive until it is closed, those of dead nodes
    ended, and other nodes heard. `node` is another name than this process's, for tests. Raises
    SpoolError, SpoolTooNew.
    """
    _insist_on_asyncpg()
    from relay.spool.postgres.store import open_store

    return await open_store(server, clock, secret_key, serving=serving, node=node)


async def examine(server: Server) -> int:
    """The schema of the spool in a database, 0 where there is none yet; nothing is changed.

    Raises SpoolError: it cannot be used. Raises SpoolTooNew.
    """
    _insist_on_asyncpg()
    from relay.spool.postgres.store import schema_at

    return await schema_at(server)


def _insist_on_asyncpg() -> None:
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise SpoolError(
            "a spool in PostgreSQL needs asyncpg; run: pip install 'office-mail-relay[postgres]'"
        ) from None
