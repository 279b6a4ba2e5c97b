"""The test message: "Sturen testbericht", as the office's programs call the button.

A message of our own that goes the way of all others: into the spool, and out by the routes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from relay.config.fault import BadValueError
from relay.config.model import Config, DeliveryMode
from relay.config.syntax import mail_address
from relay.control.errors import Declined
from relay.delivery.reports import own_address
from relay.delivery.route import choose_lane, copies, find_path
from relay.envelope import Envelope, Origin, Recipient
from relay.spool.errors import SpoolFull
from relay.spool.ids import id_text
from relay.spool.model import HeldFor, NewMessage, Placement
from relay.spool.protocol import Spool

CLIENT = "page"
"""The client name of what is sent from the page."""

_SUBJECT = {"nl": "Testbericht van {hostname}", "en": "Test message from {hostname}"}
_TEXT = {
    "nl": """\
Dit is een testbericht; u kunt het weggooien.

Het is op {date} verstuurd {occasion}
van de mailrelay {hostname}, met {sender} als afzender.
Leest u dit, dan werkt het versturen van e-mail: ook de facturen van uw
programma's die via deze relay gaan, kunnen vertrekken.

Het nummer van dit bericht in de relay is {id}.
Bent u de geadresseerde niet, dan is er een adres verkeerd getypt; onze
excuses.
""",
    "en": """\
This is a test message; you may throw it away.

It was sent on {date} {occasion}
of the mail relay {hostname}, with {sender} as its sender.
If you read this, sending mail works: the invoices of your programs that
go through this relay can leave, too.

The number of this message in the relay is {id}.
If it is not meant for you, an address was mistyped; our apologies.
""",
}

_OCCASIONS = {
    "page": {
        "nl": 'met de knop "Sturen testbericht" op de pagina',
        "en": 'with the button "Send test message" on the page',
    },
    "setup": {"nl": "bij het inrichten (relay setup)", "en": "during the setup (relay setup)"},
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A test message: to whom, and from whom; None leaves the sender to the configuration."""

    to: str
    sender: str | None = None
    language: str = "en"
    asked_from: str = CLIENT
    """The address of who asks."""
    occasion: Literal["page", "setup"] = "page"
    """What the message says of where it comes from."""


async def spool_test_message(
    wanted: Wanted, spool: Spool, config: Config, blocked: frozenset[str], now: datetime
) -> tuple[str, str]:
    """Accept a test message; its id and its sender. On return it is committed.

    Raises Declined where an address is none, or nobody knows what to send as; SpoolError.
    """
    to = _address(wanted.to, "de ontvanger", "the recipient")
    sender = _sender(wanted, to, config)
    _check_room(spool, config)
    number = spool.queue.new_id()
    names = {
        "hostname": config.hostname,
        "date": format_datetime(now),
        "sender": sender,
        "id": id_text(number),
    }
    message_id = f"<{id_text(number)}@{config.hostname}>"
    language = "nl" if wanted.language == "nl" else "en"
    names["occasion"] = _OCCASIONS[wanted.occasion][language]
    letter = _letter(sender, to, message_id, names, language)
    body = spool.queue.body_writer(number)
    await body.write(letter.as_bytes())
    recipients = _with_copies(config, sender, to)
    paths = [find_path(config, CLIENT, sender, each.address) for each in recipients]
    message = NewMessage(
        id=number,
        received_at=now,
        expires_at=now + config.spool.lifetime,
        client=CLIENT,
        client_address=wanted.asked_from,
        envelope=Envelope(sender, recipients),
        placements=tuple(
            Placement(choose_lane(path, blocked), _held_for(config)) for path in paths
        ),
        message_id=message_id,
        subject=str(letter["Subject"]) if config.spool.keep_subjects else None,
    )
    await spool.queue.accept(message, body)
    return id_text(number), sender


def _sender(wanted: Wanted, to: str, config: Config) -> str:
    """What was asked for, else what the account of the smarthost that will take it may send as."""
    if wanted.sender is not None:
        return _address(wanted.sender, "de afzender", "the sender")
    names = find_path(config, CLIENT, None, to).smarthosts
    found = own_address(config, config.smarthost(names[0]) if names else None)
    # In the sandbox nothing leaves; elsewhere nobody takes mail from a name without a domain.
    if not config.sandbox and found == f"postmaster@{config.hostname}":
        raise Declined(
            "noem een afzender: de configuratie kent geen adres om mee te verzenden"
            " (allowed_senders, sender of postmaster)",
            "name a sender: the configuration knows no address to send as"
            " (allowed_senders, sender or postmaster)",
        )
    return _address(found, "de afzender", "the sender")


def _address(text: str, nl: str, en: str) -> str:
    try:
        return mail_address(text.strip())
    except BadValueError as error:
        raise Declined(f"{nl}: {error.nl}", f"{en}: {error.en}") from None


def _check_room(spool: Spool, config: Config) -> None:
    """As the listener does before its 250. Raises SpoolFull."""
    if spool.trouble is not None:
        raise spool.trouble
    free_bytes = spool.free_bytes()
    if free_bytes is not None and free_bytes < config.spool.reserve_bytes:
        raise SpoolFull(f"{free_bytes} bytes free, reserve_bytes is {config.spool.reserve_bytes}")


def _letter(
    sender: str, to: str, message_id: str, names: dict[str, str], language: str
) -> EmailMessage:
    letter = EmailMessage(policy=SMTP)
    letter["From"] = sender
    letter["To"] = to
    letter["Subject"] = _SUBJECT[language].format_map(names)
    letter["Date"] = names["date"]
    letter["Message-ID"] = message_id
    # RFC 3834 section 5: no out-of-office message comes back.
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(_TEXT[language].format_map(names), cte="quoted-printable")
    letter["Content-Language"] = language  # before the content it would be dropped
    return letter


def _with_copies(config: Config, sender: str, to: str) -> tuple[Recipient, ...]:
    """The recipient, and the copies that the configuration asks for of everything sent."""
    path = find_path(config, CLIENT, sender, to)
    wanted = dict.fromkeys(copies(config, CLIENT, path))
    return (
        Recipient(to),
        *(
            Recipient(address, notify=frozenset({"NEVER"}), origin=Origin.BCC)
            for address in wanted
            if address.casefold() != to.casefold()
        ),
    )


def _held_for(config: Config) -> HeldFor | None:
    if config.sandbox:
        return HeldFor.SANDBOX
    return HeldFor.TRIAL if config.delivery.mode is DeliveryMode.HOLD else None
