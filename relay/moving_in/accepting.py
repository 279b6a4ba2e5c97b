"""Letters into the spool of a relay that is stopped, by the code that takes mail from a client.

What was taken is remembered by a digest of its bytes and its envelope, first with the id that it
will have, then that it is there: however often a run is broken off, each goes in once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from relay.access.address import peer_address
from relay.config.model import Client, Config, DeliveryMode
from relay.intake.context import Intake
from relay.intake.data_decoder import DataDecoder
from relay.intake.door import Admission, Door
from relay.intake.reception import Arriving, Reception
from relay.intake.replies import reply
from relay.intake.trouble import Refused
from relay.monitor import mail_log
from relay.moving_in.letter import Letter, as_on_the_wire
from relay.spool.ids import id_text
from relay.spool.protocol import Spool

CLIENT = "import"
"""The client that imported mail is from, where its sender's address is not listed."""

_HERE = "127.0.0.1"
_SETTING = "import/"


@dataclass(frozen=True, slots=True)
class Taken:
    """The letter is in the spool under this id; `before`: by an earlier run."""

    letter: Letter
    id: str
    before: bool


@dataclass(frozen=True, slots=True)
class Declined:
    """The letter stays out, for the reason that a client would have heard."""

    letter: Letter
    reason: str


class Acceptance:
    """Takes letters one by one; nobody else may have the spool open meanwhile.

    With `hold` all of them wait for `relay queue release`, else only those that the other program
    had given up.
    """

    def __init__(
        self, config: Config, spool: Spool, clock: Callable[[], datetime], *, hold: bool = False
    ) -> None:
        self._spool = spool
        self._door = Door(config, {})
        self._clock = clock
        self._leaving = self._intake(config)
        trial = replace(config, delivery=replace(config.delivery, mode=DeliveryMode.HOLD))
        self._held = self._intake(trial)
        self._hold = hold

    def _intake(self, config: Config) -> Intake:
        return Intake(
            config=config,
            spool=self._spool,
            door=self._door,
            clock=self._clock,
            accepted=lambda lanes: None,
            blocked_lanes=lambda: (),
            smarthost_size_bytes=lambda: None,
            lanes_open=lambda lanes: False,  # nobody waits here for a verdict
        )

    async def take(self, letter: Letter) -> Taken | Declined:
        """Have it in the spool, once. Raises SpoolError, and OSError of its file."""
        name = _SETTING + letter.digest()
        record = json.loads(await self._spool.ledger.setting(name) or "{}")
        number: int = record.get("number") or self._spool.queue.new_id()
        if record.get("done") or (record and await self._spool.queue.show(number) is not None):
            await self._remember(name, number, done=True)
            return Taken(letter, id_text(number), before=True)
        await self._remember(name, number, done=False)
        try:
            await self._accept(letter, number)
        except Refused as error:
            await self._spool.ledger.remember(name, None)
            said = reply(error.slug, self._leaving.config.language, **error.details)
            return Declined(letter, said.decode().strip())
        await self._remember(name, number, done=True)
        return Taken(letter, id_text(number), before=False)

    async def _remember(self, name: str, number: int, *, done: bool) -> None:
        await self._spool.ledger.remember(name, json.dumps({"number": number, "done": done}))

    async def _accept(self, letter: Letter, number: int) -> None:
        intake = self._held if self._hold or letter.gave_up is not None else self._leaving
        if not intake.has_room():
            raise Refused("disk-full")
        limit_bytes = max(each.max_message_bytes for each in intake.config.listeners)
        admission = self._admission(letter)
        reception = Reception(
            intake, Arriving(number, admission, letter.envelope, CLIENT, protocol="local")
        )
        decoder, size_bytes = DataDecoder(), 0
        try:
            for wire in as_on_the_wire(letter.pieces()):
                piece = decoder.feed(wire)
                size_bytes += len(piece)
                if size_bytes > limit_bytes:
                    raise Refused("too-big", limit=limit_bytes)
                await reception.feed(piece)
            message = await reception.accept(decoder.bare_lf, decoder.bare_cr)
        except BaseException:
            await reception.discard()
            raise
        mail_log.accepted(message, size_bytes)
        if message.repairs:
            mail_log.repaired(message.id, message.repairs)

    def _admission(self, letter: Letter) -> Admission:
        address = peer_address(letter.client_address or _HERE)
        listed = self._door.rules.match(address) if letter.client_address else None
        return Admission(address, listed or Client(CLIENT, ()))
