"""The spool that a configuration names, of whichever kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from relay.clock import utc_now
from relay.config.model import Spool as Place
from relay.spool.postgres import Server
from relay.spool.postgres import open_spool as open_postgres
from relay.spool.protocol import Spool
from relay.spool.sqlite import SqliteSpool
from relay.spool.sqlite import open_spool as open_sqlite


async def open_configured(
    place: Place, clock: Callable[[], datetime] = utc_now, *, serving: bool = False
) -> Spool:
    """Open, and if need be make or migrate it; `serving` is for the service.

    Raises SpoolError, SpoolInUse, or OSError where a file or its directory cannot be used.
    """
    if place.path is None:
        server = Server(place.url, place.password)
        return await open_postgres(server, clock, place.secret_key, serving=serving)
    return await asyncio.to_thread(
        open_sqlite, place.path, clock, place.secret_key, serving=serving
    )


def salvage_of(spool: Spool) -> tuple[str, str] | None:
    """Of a file that was damaged when it was opened: what was saved, and where the old one is."""
    if not isinstance(spool, SqliteSpool) or spool.salvaged is None:
        return None
    return spool.salvaged.text(), str(spool.salvaged.aside)
