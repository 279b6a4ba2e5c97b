"""When the certificates of a configuration end: those that others meet, and ours at a smarthost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path

from relay.config.model import Config

ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Dated:
    """A certificate in use. `key` is where the configuration names it."""

    key: str
    path: Path
    end: datetime

    def days_left(self, now: datetime) -> int:
        """Days until it ends, begun ones whole; below 1 it has ended."""
        return ceil((self.end - now) / timedelta(days=1))

    def ends_soon(self, now: datetime) -> bool:
        """Within `ENDS_SOON`, or it has ended."""
        return self.end - now <= ENDS_SOON

    def values(self, now: datetime) -> dict[str, str | int]:
        """What texts and documents tell of it."""
        day = self.end.astimezone().date().isoformat()
        return {"path": str(self.path), "key": self.key, "day": day, "days": self.days_left(now)}


def dated_certificates(config: Config) -> Iterator[Dated]:
    """Of the listeners, of the page, and ours at a smarthost; one that cannot be read is left out.

    Reads files. What cannot be read is told by the checks of the configuration.
    """
    named = [
        (f"listener[{number}].certificate", each.certificate)
        for number, each in enumerate(config.listeners)
    ]
    named.append(("web.certificate", config.web.certificate))
    named += [
        (f"smarthost[{number}].client_certificate", each.client_certificate)
        for number, each in enumerate(config.smarthosts)
    ]
    for key, path in named:
        end = None if path is None else _end(path)
        if path is not None and end is not None:
            yield Dated(key, path, end)


def _end(path: Path) -> datetime | None:
    """When the certificate of a chain in PEM ends; None where it cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError):
        return None
