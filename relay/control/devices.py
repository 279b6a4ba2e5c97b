"""Which machines may send, beside those of the configuration: adoption and learning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network

from relay.access.address import Address, peer_address
from relay.access.learning import WINDOW_SETTING, is_open, window_end
from relay.access.rules import LOCAL_NETWORKS, AccessRules
from relay.config.model import Client, Config
from relay.control import documents
from relay.control.documents import Document, document
from relay.control.errors import Declined
from relay.spool.ledger_entry import AdoptedDevice
from relay.spool.protocol import Ledger


@dataclass(frozen=True, slots=True)
class Devices:
    """The machines that may send, by the configuration and the ledger of this moment."""

    ledger: Ledger
    config: Config
    now: datetime

    async def rules(self) -> AccessRules:
        """The access rules in force."""
        adopted = {peer_address(each.address): each.name for each in await self.ledger.adopted()}
        return AccessRules.build(self.config.clients, adopted)

    async def learning_until(self) -> datetime | None:
        """The end of the learning window; None where none is open."""
        text = await self.ledger.setting(WINDOW_SETTING)
        ends_at = datetime.fromisoformat(text) if text else None
        return ends_at if is_open(ends_at, self.now) else None

    async def listed(self) -> Document:
        """Clients of the file, or the default, and adopted devices."""
        source = "file" if self.config.clients else "default"
        clients = self.config.clients or (Client("local", LOCAL_NETWORKS),)
        return document(
            "client list",
            clients=[documents.client_document(client, source) for client in clients],
            adopted=[documents.adopted_document(each) for each in await self.ledger.adopted()],
            learning_until=documents.time_text(await self.learning_until()),
        )

    async def refused(self) -> Document:
        """Devices that were turned away and still would be, the latest first."""
        rules = await self.rules()
        return document(
            "client refused",
            devices=[
                documents.refused_document(device)
                for device in await self.ledger.refused()
                if rules.match(peer_address(device.address)) is None
            ],
            learning_until=documents.time_text(await self.learning_until()),
        )

    async def allow(self, address: Address, name: str | None) -> Document:
        """Adopt one address; one that the file lists stays the file's.

        `listed_by` is then the file's client, and `adopted` false.
        """
        rules = AccessRules.build(self.config.clients, {})
        owner = rules.match(address)
        if owner is None:
            name = device_name(str(address) if name is None else name)
            await self.ledger.adopt(AdoptedDevice(str(address), name, self.now))
        network = rules.explain(address)
        return document(
            "client allow",
            address=str(address),
            name=owner.name if owner else name,
            adopted=owner is None,
            listed_by=None if owner is None else {"client": owner.name, "network": str(network)},
        )

    async def remove(self, address: Address) -> Document:
        """Take an adoption back; `listed_by` tells that the file lets the address in all the same."""
        removed = await self.ledger.disown(str(address))
        rules = await self.rules()
        owner, network = rules.match(address), rules.explain(address)
        return document(
            "client remove",
            address=str(address),
            removed=removed,
            listed_by=None if owner is None else {"client": owner.name, "network": str(network)},
        )

    async def learn(self, minutes: int) -> Document:
        """Open a learning window, or with 0 end it."""
        ends_at = None
        if minutes:
            try:
                ends_at = window_end(self.now, minutes)
            except (ValueError, OverflowError):
                raise Declined(
                    "een leervenster duurt 1 tot 120 minuten",
                    "a learning window lasts 1 to 120 minutes",
                ) from None
        await self.ledger.remember(WINDOW_SETTING, documents.time_text(ends_at))
        return document("client learn", learning_until=documents.time_text(ends_at))


def one_address(text: str) -> Address:
    """The address that a person wrote. Raises Declined: it is none, or a network."""
    try:
        return peer_address(text.strip())
    except ValueError:
        pass
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        raise Declined(
            f"{text!r} is geen IP-adres; schrijf het als 192.168.1.40 of fd00::40",
            f"{text!r} is no IP address; write it as 192.168.1.40 or fd00::40",
        ) from None
    raise Declined(
        f"{text} is een netwerk; zet het in relay.toml bij [[client]] networks",
        f"{text} is a network; put it in relay.toml at [[client]] networks",
    )


def device_name(text: str) -> str:
    """A name for a device, as the configuration would take it. Raises Declined."""
    if not text.strip() or text != text.strip() or len(text) > 64 or not text.isprintable():
        raise Declined(
            f"{text!r} is geen naam: 1 tot 64 tekens, zonder spatie ervoor of erachter",
            f"{text!r} is no name: 1 to 64 characters, without a blank before or after",
        )
    return text
