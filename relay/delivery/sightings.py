"""What was seen of each smarthost, and since when: so that what changed before a failure is known.

Kept in the ledger under `seen:<smarthost>` as JSON, an entry for each of certificate, address and
version (of this relay): `value`, `since`, and `before`, the value that it replaced.
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import relay

if TYPE_CHECKING:
    from relay.smarthost.connect import Connection
    from relay.spool.protocol import Ledger

log = logging.getLogger(__name__)

Seen = dict[str, dict[str, Any]]

_MOST_ADDRESSES = 64
_LONGEST_NAME = 200


class Sightings:
    """Notes what is new about a smarthost. What is as it was costs a comparison, no I/O."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._known: dict[str, Seen] = {}

    async def note(self, smarthost: str, connection: Connection) -> None:
        """After a successful connection. What fails is logged, and stops no mail."""
        try:
            if smarthost not in self._known:
                self._known[smarthost] = await read_seen(self._ledger, smarthost) or {}
            known = self._known[smarthost]
            fresh = _noted(known, _look(connection), _time_text(self._clock()))
            if fresh != known:
                await self._ledger.remember(seen_key(smarthost), json.dumps(fresh))
                self._known[smarthost] = fresh
        except Exception as error:  # noqa: BLE001 - no note is worth a message
            log.warning("what is seen of %s is not noted: %s", smarthost, error)


async def read_seen(ledger: Ledger, smarthost: str) -> Seen | None:
    """What was noted of a smarthost; None where nothing was. Raises SpoolError."""
    return parse_seen(await ledger.setting(seen_key(smarthost)))


def parse_seen(text: str | None) -> Seen | None:
    """The value of the ledger's setting; None where there is none."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def seen_key(smarthost: str) -> str:
    """The name of the ledger's setting."""
    return f"seen:{smarthost}"


def _look(connection: Connection) -> dict[str, Any]:
    return {
        "certificate": certificate_seen(connection.exchange.certificate),
        "address": connection.address,
        "version": relay.__version__,
    }


def certificate_seen(certificate: dict[str, Any] | None) -> dict[str, str] | None:
    """Issuer, serial and not_after of what `ssl.SSLSocket.getpeercert` gives; None without TLS."""
    if not certificate:
        return None
    seconds = ssl.cert_time_to_seconds(certificate["notAfter"])
    return {
        "issuer": _name(certificate.get("issuer", ())),
        "serial": str(certificate.get("serialNumber", "")),
        "not_after": _time_text(datetime.fromtimestamp(seconds, UTC)),
    }


def _name(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Organisation and common name, which is how people know an issuer."""
    found = {key: value for part in parts for key, value in part}
    names = (found.get("organizationName"), found.get("commonName"))
    return ", ".join(filter(None, names))[:_LONGEST_NAME]


def _noted(known: Seen, now_seen: dict[str, Any], at: str) -> Seen:
    fresh = dict(known)
    for what, value in now_seen.items():
        old = known.get(what)
        if what == "address":
            # A large provider's name has many addresses in turn: only one never met is news.
            met = [] if old is None else list(old.get("met", ()))
            if value in met:
                continue
            entry = {"met": [*met, value][-_MOST_ADDRESSES:]}
        elif old is not None and old["value"] == value:
            continue
        else:
            entry = {}
        before = None if old is None else old["value"]
        fresh[what] = {"value": value, "since": at, "before": before, **entry}
    return fresh


def _time_text(at: datetime) -> str:
    """RFC 3339 in UTC with a Z, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
