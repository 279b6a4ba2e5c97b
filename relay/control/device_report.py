"""What each device that may send has sent, and who was turned away: from the statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from relay.access.rules import LOCAL_NETWORKS
from relay.config.model import Client, Config
from relay.control.devices import Devices
from relay.control.documents import Document, document, time_text
from relay.intake.replies import reply
from relay.monitor.statistics import LOOK_BACK, Silence, by_day, silence, total
from relay.spool.ledger_entry import AdoptedDevice
from relay.spool.protocol import Spool
from relay.spool.statistics import ClientSeen, HourCount, Statistics

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Device:
    """What is known of one client, by its name."""

    hours: Sequence[HourCount]
    seen: ClientSeen | None
    now: datetime
    zone: tzinfo | None

    def silence(self) -> Silence | None:
        """How long it has sent nothing; None: nothing is known to have come from it."""
        sent = {
            day: sum(each.accepted for each in hours)
            for day, hours in by_day(self.hours, self.zone).items()
        }
        last = None if self.seen is None else self.seen.last_at.astimezone(self.zone).date()
        return silence(sent, last, self.now.astimezone(self.zone).date())

    def document(self) -> Document:
        """The figures of the page."""
        last_day = total(each for each in self.hours if each.hour > self.now - DAY)
        month = total(each for each in self.hours if each.hour > self.now - 30 * DAY)
        silent = self.silence()
        return {
            "last_mail_at": time_text(self.seen.last_at) if self.seen else None,
            "messages_24h": last_day.accepted,
            "messages_30d": month.accepted,
            "bytes_30d": month.bytes,
            "tls": self.seen.tls if self.seen else None,
            "errors_24h": last_day.failed + last_day.refused,
            "silent_days": silent.days if silent else None,
            "silent_working_days": silent.working_days if silent else None,
            "silent_alarm": silent.alarm if silent else False,
        }


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """The devices of one spool and configuration; days are those of `zone` (None: here)."""

    spool: Spool
    config: Config
    now: datetime
    zone: tzinfo | None = None

    async def listed(self, statistics: Statistics | None = None) -> Document:
        """Each client of the file with its networks, each adopted device with its addresses, what
        they sent, who was refused, and until when the learning window is open.

        `errors_24h` are messages that failed and what intake did not take. `tls` is about the
        latest message, null where that is not known.
        """
        found = statistics or await self.spool.queue.statistics(self.now - LOOK_BACK)
        devices = Devices(self.spool.ledger, self.config, self.now)
        adopted = await self.spool.ledger.adopted()
        refused = (await devices.refused())["devices"]
        return document(
            "devices",
            devices=[
                {**entry, **self.device(entry["name"], found).document()}
                for entry in _entries(self.config, adopted)
            ],
            refused=[{**each, "last_reply": _not_listed(each["address"])} for each in refused],
            learning_until=time_text(await devices.learning_until()),
        )

    def device(self, name: str, statistics: Statistics) -> Device:
        """One client out of the statistics."""
        hours = [each for each in statistics.hours if each.client == name]
        return Device(hours, statistics.seen.get(name), self.now, self.zone)


def _entries(config: Config, adopted: Sequence[AdoptedDevice]) -> list[Document]:
    """Clients of the file first; an adopted device with the name of one belongs to it."""
    source = "file" if config.clients else "default"
    entries: dict[str, Document] = {}
    for client in config.clients or (Client("local", LOCAL_NETWORKS),):
        entries[client.name] = {
            "name": client.name,
            "source": source,
            "networks": [str(network) for network in client.networks],
            "addresses": [],
        }
    for device in adopted:
        entry = entries.setdefault(
            device.name,
            {"name": device.name, "source": "adopted", "networks": [], "addresses": []},
        )
        entry["addresses"].append(device.address)
    return list(entries.values())


def _not_listed(address: str) -> Document:
    """What such a device is told, in whichever language the configuration has."""
    return {
        "nl": reply("not-listed", "nl", address=address).decode("ascii").rstrip(),
        "en": reply("not-listed", "en", address=address).decode("ascii").rstrip(),
    }
