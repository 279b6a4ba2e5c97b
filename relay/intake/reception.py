"""One message on its way from DATA into the spool.

The bytes go to the spool as they come. In front of them go the Received field and what an old
program left out; after that nothing is ever re-serialised.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from relay.access.address import address_text
from relay.config.model import DeliveryMode
from relay.delivery.direct import Waiting
from relay.delivery.route import Path, choose_lane, copies, find_path
from relay.envelope import Envelope, Origin, Recipient
from relay.intake.context import Intake
from relay.intake.door import Admission
from relay.intake.trouble import Refused
from relay.message import headers
from relay.message.repair import Repair, RepairKind, repair
from relay.message.trace import Arrival, hops, own_hops, received
from relay.spool.ids import id_text
from relay.spool.model import HeldFor, NewMessage, Placement
from relay.spool.protocol import BodyWriter

MOST_HOPS = 50
MOST_OWN_HOPS = 3

HEADER_BYTES = 500_000
"""The header block must end within this; the spool keeps that much in one piece."""

HEADER_LINES = 15_000
AUTHOR_BYTES = 20_000
"""Of all the fields that are read as addresses, at each attempt. Like the lines, far beyond what
any program writes: reading more would keep the mail of others waiting."""

_AUTHORS = re.compile(rb"^(?:from|sender|reply-to)[ \t]*:.*(?:\n[ \t].*)*", re.I | re.M)
_EMPTY_LINE = b"\r\n\r\n"
_FIELD_NAME_BYTES = 1000
"""No field has a longer name: RFC 5322 section 2.1.1 ends a line before."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """What is known when DATA begins."""

    id: int
    admission: Admission
    envelope: Envelope
    helo: str
    protocol: str


class Reception:
    """Takes the pieces of a message, then commits it."""

    def __init__(self, intake: Intake, arriving: Arriving) -> None:
        self._intake = intake
        self._arriving = arriving
        self.id = id_text(arriving.id)
        """The message's id as shown."""
        self._body: BodyWriter = intake.spool.queue.body_writer(arriving.id)
        self._head: bytearray | None = bytearray()
        self._has_8bit = False
        self._repairs: list[Repair] = []
        self._message_id = ""
        self._subject: str | None = None
        self.handed_over = False
        """Once accepted: a worker has it already."""
        self.waiting: Waiting | None = None
        """In direct mode, once accepted: the wait for the smarthost's verdict, where there is one."""

    @property
    def size_bytes(self) -> int:
        """Bytes passed to the spool so far."""
        return self._body.size_bytes

    async def feed(self, data: bytes) -> None:
        """Add a piece of the message. Raises Refused or SpoolError."""
        self._has_8bit = self._has_8bit or not data.isascii()
        if self._head is None:
            await self._body.write(data)
            return
        # From where an empty line could have become whole with this piece.
        before = max(0, len(self._head) - len(_EMPTY_LINE) + 1)
        self._head += data
        if len(self._head) > HEADER_BYTES or self._head.find(_EMPTY_LINE, before) >= 0:
            await self._begin(bytes(self._head), complete=False)

    async def accept(self, bare_lf: int, bare_cr: int) -> NewMessage:
        """Commit the message; on return the relay answers for it. Raises Refused, SpoolError."""
        if self._head is not None:
            await self._begin(bytes(self._head), complete=True)
        if bare_lf:
            self._repairs.append(Repair(RepairKind.BARE_LF, str(bare_lf)))
        if bare_cr:
            self._repairs.append(Repair(RepairKind.BARE_CR, str(bare_cr)))
        message = self._new_message()
        # Before it is committed: a worker that is looking for mail may claim it at once.
        self.waiting = self._wait_for(message)
        taker = self._intake.taker(message.placements)
        queue = self._intake.spool.queue
        try:
            if taker is None:
                await queue.accept(message, self._body)
            else:
                accepting = queue.accept(message, self._body, claim=True)
                self.handed_over = await taker.accept(accepting)
        except BaseException:
            self.end_wait()
            raise
        return message

    def end_wait(self) -> None:
        """Whatever became of the session, nobody waits for the verdict any more."""
        if self.waiting is not None:
            self.waiting.withdraw()

    async def discard(self) -> None:
        """The message will not come: forget its bytes."""
        await self._body.discard()

    async def _begin(self, head: bytes, *, complete: bool) -> None:
        """The header block is here: look for loops, add what goes in front, pass it on."""
        self._head = None
        header, rest = headers.split(head)
        if not complete and len(rest) < _FIELD_NAME_BYTES and b"\r\n" not in rest:
            # Nothing, or the beginning of one more field.
            raise Refused("header-too-big")
        _refuse_excess(header)
        self._refuse_loops(header)
        arriving = self._arriving
        now = self._intake.clock()
        repaired = repair(
            (header, rest),
            envelope=arriving.envelope,
            now=now,
            hostname=self._intake.config.hostname,
            message_id=f"{self.id}@{self._intake.config.hostname}",
        )
        self._repairs.extend(repaired.repairs)
        self._remember(repaired.prepend + header)
        trace = received(
            Arrival(
                helo=arriving.helo,
                client_address=address_text(arriving.admission.address),
                hostname=self._intake.config.hostname,
                protocol=arriving.protocol,
                message_id=self.id,
                at=now,
            )
        )
        await self._body.write(trace + repaired.prepend + head)

    def _refuse_loops(self, header: bytes) -> None:
        count = hops(header)
        own = own_hops(header, self._intake.config.hostname)
        if count > MOST_HOPS or own >= MOST_OWN_HOPS:
            raise Refused("loop", hops=max(count, own))

    def _remember(self, header: bytes) -> None:
        message_id = headers.first(header, b"Message-ID")
        if message_id is not None:
            self._message_id = message_id.value.decode("utf-8", "replace")
        if self._intake.config.spool.keep_subjects:
            subject = headers.first(header, b"Subject")
            self._subject = None if subject is None else subject.value.decode("utf-8", "replace")

    def _new_message(self) -> NewMessage:
        arriving, intake = self._arriving, self._intake
        client = arriving.admission.client.name
        envelope = arriving.envelope
        paths = _paths(intake, client, envelope.reverse_path, envelope.recipients)
        bcc = _bcc(intake, client, envelope, paths)
        if bcc:
            paths += _paths(intake, client, envelope.reverse_path, bcc)
            envelope = replace(envelope, recipients=envelope.recipients + bcc)
        if self._has_8bit and not envelope.body_8bit:
            envelope = replace(envelope, body_8bit=True)
        blocked, held_for = intake.blocked_lanes(), self._held_for()
        now = intake.clock()
        return NewMessage(
            id=arriving.id,
            received_at=now,
            expires_at=now + intake.config.spool.lifetime,
            client=client,
            client_address=address_text(arriving.admission.address),
            envelope=envelope,
            placements=tuple(Placement(choose_lane(path, blocked), held_for) for path in paths),
            message_id=self._message_id,
            subject=self._subject,
            repairs=tuple((each.kind.value, each.detail) for each in self._repairs),
        )

    def _wait_for(self, message: NewMessage) -> Waiting | None:
        """None where the smarthost's verdict is not asked for, or cannot come soon."""
        intake = self._intake
        if intake.config.delivery.mode is not DeliveryMode.DIRECT:
            return None
        if any(place.held_for is not None for place in message.placements):
            return None
        waiting = intake.waiters.expect(message)
        if intake.lanes_open(waiting.lanes):
            return waiting
        waiting.withdraw()
        return None

    def _held_for(self) -> HeldFor | None:
        if self._intake.config.sandbox:
            return HeldFor.SANDBOX
        if self._arriving.admission.learning:
            return HeldFor.LEARNING
        if self._intake.config.delivery.mode is DeliveryMode.HOLD:
            return HeldFor.TRIAL
        return None


def _refuse_excess(header: bytes) -> None:
    lines = header.count(b"\r\n")
    if lines > HEADER_LINES or sum(map(len, _AUTHORS.findall(header))) > AUTHOR_BYTES:
        raise Refused("header-too-big")


def _paths(
    intake: Intake, client: str, sender: str | None, recipients: Iterable[Recipient]
) -> list[Path]:
    return [find_path(intake.config, client, sender, each.address) for each in recipients]


def _bcc(
    intake: Intake, client: str, envelope: Envelope, paths: list[Path]
) -> tuple[Recipient, ...]:
    """The copies that the configuration asks for, less those who get the message anyway."""
    wanted = dict.fromkeys(
        address for path in paths for address in copies(intake.config, client, path)
    )
    if not wanted:
        return ()
    named = {recipient.address.casefold() for recipient in envelope.recipients}
    return tuple(
        Recipient(address=address, notify=frozenset({"NEVER"}), origin=Origin.BCC)
        for address in wanted
        if address.casefold() not in named
    )
