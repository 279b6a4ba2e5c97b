"""The verbs of SMTP for one client (RFC 5321 section 4), strict outward and patient inward."""

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiosmtpd.smtp import TLSSetupException

from relay.config.model import Listener
from relay.envelope import Envelope, Recipient
from relay.intake.connection import Connection
from relay.intake.context import Intake
from relay.intake.data_decoder import DataDecoder
from relay.intake.login import MECHANISMS, take_login
from relay.intake.path import MailCommand, Refusal, parse_mail, parse_rcpt
from relay.intake.reception import Arriving, Reception, Refused
from relay.message.trace import protocol_name
from relay.monitor import mail_log
from relay.spool.errors import SpoolBusy, SpoolError, SpoolFull
from relay.spool.model import NewMessage

_HTTP = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH"})
_BULK = frozenset({b"BDAT", b"XEXCH50"})
"""Verbs whose data would follow and be taken for commands: the connection must end."""

_MOST_BYTES_PAST_LIMIT = 2  # times the limit; then the client is cut off


@dataclass(slots=True)
class Transaction:
    """Between MAIL and the end of DATA."""

    mail: MailCommand
    recipients: dict[str, Recipient] = field(default_factory=dict)
    refused_recipients: int = 0


class Session(Connection):
    """The conversation with one client."""

    def __init__(
        self, intake: Intake, listener: Listener, tls_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(intake, listener, tls_context)
        self._implicit_tls = listener.tls.value == "implicit"
        self._helo = ""
        self._extended = False
        self._login: str | None = None
        self._transaction: Transaction | None = None
        self._commands_without_message = 0

    def begin_again(self) -> None:
        self._transaction = None

    async def handle(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        if verb in _HTTP:
            self.say("not-smtp")
            return
        if verb in _BULK:
            self.say("not-implemented")
            self.hang_up()
            return
        self._commands_without_message += 1
        if self._commands_without_message > self.intake.patience.commands_without_message:
            self.say("too-many-errors")
            return
        method = _VERBS.get(verb)
        if method is None:
            self.say("unknown-command")
        elif verb not in _TEXT_ARGUMENT and argument.strip():
            self.say("no-argument")
        else:
            await method(self, argument)

    @property
    def _tls(self) -> bool:
        return self._implicit_tls or self._tls_protocol is not None

    # --- Greeting, TLS, login ---

    async def _helo_verb(self, argument: bytes) -> None:
        if self._hello(argument):
            self._extended = False
            self.say_line(f"250 {self.intake.config.hostname}\r\n".encode())

    async def _ehlo_verb(self, argument: bytes) -> None:
        if not self._hello(argument):
            return
        self._extended = True
        offers = [
            self.intake.config.hostname,
            "PIPELINING",
            f"SIZE {self._size_limit()}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
        ]
        if self.tls_context is not None and not self._tls:
            offers.append("STARTTLS")
        if self._offers_login():
            offers.append("AUTH " + " ".join(MECHANISMS))
        lines = [f"250-{offer}\r\n" for offer in offers[:-1]] + [f"250 {offers[-1]}\r\n"]
        self.say_line("".join(lines).encode())

    def _hello(self, argument: bytes) -> bool:
        name = argument.strip().decode("ascii", "replace")
        if not name:
            self.say("hello-name")
            return False
        self.begin_again()
        self._helo = name
        return True

    async def _starttls_verb(self, argument: bytes) -> None:
        if self._tls:
            self.say("tls-active")
        elif self.tls_context is None:
            self.say("no-tls")
        else:
            try:
                await super().smtp_STARTTLS(None)
            except TLSSetupException as error:
                raise ConnectionAbortedError("the TLS handshake failed") from error
            # EHLO must be said again (RFC 3207 section 4.2).
            self._helo = ""
            self._login = None

    def _offers_login(self) -> bool:
        return self.admission is not None and self.admission.client.any_login

    async def _auth_verb(self, argument: bytes) -> None:
        if not self._offers_login():
            self.say("no-auth")
        elif not self._helo:
            self.say("hello-first")
        elif self._login is not None:
            self.say("auth-done")
        else:
            slug, mechanism = await take_login(argument, self._ask)
            self.say(slug)
            if mechanism is not None and self.admission is not None:
                self._login = mechanism
                mail_log.login_accepted(self.admission.client.name, self.peer, mechanism)

    async def _ask(self, challenge: bytes) -> bytes | None:
        self.say_line(challenge)
        return await self.read_line()

    # --- The transaction ---

    async def _mail_verb(self, argument: bytes) -> None:
        if not self._helo:
            self.say("hello-first")
            return
        if not await self._may_send():
            return
        if self._transaction is not None:
            self.say("nested-mail")
            return
        command = parse_mail(b" " + argument, smtputf8_allowed=self._extended, lenient=True)
        if isinstance(command, Refusal):
            self._refuse(command)
        elif command.size is not None and command.size > self._size_limit():
            self.say("too-big", limit=self._size_limit())
        elif not self.intake.has_room():
            self.say("disk-full")
        else:
            self._transaction = Transaction(command)
            self.say("sender-ok")

    async def _may_send(self) -> bool:
        """Rules and limits of this moment, not of when the connection began."""
        admission = self.admission
        if admission is None:
            return False
        now = self.intake.clock()
        current = self.intake.door.find(admission.address, now)
        if current is None:
            self.say("no-longer-listed", address=admission.address)
            return False
        if current.client.require_tls and not self._tls:
            self.say("tls-required")
            return False
        delay = self.intake.door.delay(current, now).total_seconds()
        if delay > self.intake.patience.rate_delay_seconds:
            limit = current.client.messages_per_minute
            self.say("rate", address=admission.address, limit=limit)
            return False
        if delay > 0:
            await self.pause(delay)
        return True

    async def _rcpt_verb(self, argument: bytes) -> None:
        transaction = self._transaction
        if transaction is None:
            self.say("mail-first")
            return
        command = parse_rcpt(
            b" " + argument, smtputf8_allowed=transaction.mail.smtputf8, lenient=True
        )
        if isinstance(command, Refusal):
            transaction.refused_recipients += 1
            self._refuse(command)
        elif command.address in transaction.recipients:
            self.say("recipient-ok")
        elif len(transaction.recipients) >= self.listener.max_recipients:
            self.say("too-many-recipients", limit=self.listener.max_recipients)
        else:
            transaction.recipients[command.address] = Recipient(
                command.address, command.notify, command.orcpt
            )
            self.say("recipient-ok")

    def _refuse(self, refusal: Refusal) -> None:
        self.say(refusal.slug.value, detail=refusal.detail)

    async def _data_verb(self, argument: bytes) -> None:
        transaction = self._transaction
        if transaction is None:
            self.say("mail-first")
        elif not transaction.recipients:
            self.say("no-valid-recipient" if transaction.refused_recipients else "rcpt-first")
        else:
            self._transaction = None
            self.say("go-ahead")
            self.flush()
            self.in_data = True
            try:
                await self._take(transaction)
            finally:
                self.in_data = False

    async def _take(self, transaction: Transaction) -> None:
        """Read the message to its end and answer for it."""
        arriving = self._arriving(transaction)
        reception = Reception(self.intake, arriving)
        decoder = DataDecoder()
        try:
            refusal = await self._read_message(reception, decoder)
            if refusal is None and not self.intake.has_room():
                refusal = Refused("disk-full")
            if refusal is None:
                message = await reception.accept(decoder.bare_lf, decoder.bare_cr)
        except Refused as error:
            refusal = error
        except BaseException:
            await _discard(reception)
            raise
        if refusal is not None:
            await _discard(reception)
            self.say(refusal.slug, **refusal.details)
            mail_log.refused(self.peer, refusal.slug, client=arriving.admission.client.name)
            return
        self._commands_without_message = 0
        self._confirm(message, reception)

    async def _read_message(self, reception: Reception, decoder: DataDecoder) -> Refused | None:
        """Feed DATA to its end; what made it impossible to keep is told only then."""
        limit, refusal = self._size_limit(), None
        began, wire_bytes, message_bytes = self.loop.time(), 0, 0
        while not decoder.finished:
            data = await self.read_some()
            wire_bytes += len(data)
            self._insist_on_pace(self.loop.time() - began, wire_bytes)
            piece = decoder.feed(data)
            message_bytes += len(piece)
            if refusal is None and message_bytes > limit:
                refusal = Refused("too-big", limit=limit)
                await reception.discard()
            if wire_bytes > limit * _MOST_BYTES_PAST_LIMIT:
                self.say("too-big", limit=limit)
                self.say("too-many-errors")
                raise ConnectionAbortedError("far more than the limit")
            if refusal is None:
                refusal = await _feed(reception, piece)
        self.put_back(decoder.rest)
        return refusal

    def _insist_on_pace(self, seconds: float, wire_bytes: int) -> None:
        patience = self.intake.patience
        slow = wire_bytes < seconds * patience.least_bytes_per_second
        if slow and seconds > patience.slow_start_seconds:
            self.say("too-slow")
            raise ConnectionAbortedError("too slow")

    def _arriving(self, transaction: Transaction) -> Arriving:
        mail = transaction.mail
        if self.admission is None:
            raise ConnectionAbortedError("nobody is there")
        current = self.intake.door.find(self.admission.address, self.intake.clock())
        return Arriving(
            id=self.intake.spool.queue.new_id(),
            admission=current or self.admission,
            envelope=Envelope(
                reverse_path=mail.reverse_path,
                recipients=tuple(transaction.recipients.values()),
                ret=mail.ret,
                envid=mail.envid,
                body_8bit=mail.body_8bit,
                smtputf8=mail.smtputf8,
                declared_size_bytes=mail.size,
            ),
            helo=self._helo,
            protocol=protocol_name(
                extended=self._extended,
                tls=self._tls,
                login=self._login is not None,
                smtputf8=mail.smtputf8,
            ),
        )

    def _confirm(self, message: NewMessage, reception: Reception) -> None:
        """The message is committed: say so to the client, the dispatcher and the log."""
        if self.intake.config.sandbox:
            self.say("accepted-sandbox", id=reception.id)
        elif message.client == "learning":
            self.say("accepted-learning", id=reception.id, address=message.client_address)
        else:
            self.say("accepted", id=reception.id)
        self.flush()
        self.intake.accepted({place.lane for place in message.placements if place.held_for is None})
        mail_log.accepted(message, reception.size_bytes)
        if message.repairs:
            mail_log.repaired(message.id, message.repairs)

    def _size_limit(self) -> int:
        """The smallest of the listener's limit, the client's, and what the smarthost takes."""
        client = self.admission.client.max_message_bytes if self.admission else None
        limits = (
            self.listener.max_message_bytes,
            client,
            self.intake.smarthost_size_bytes(),
        )
        return min(limit for limit in limits if limit is not None)

    # --- The rest ---

    async def _rset_verb(self, argument: bytes) -> None:
        self.begin_again()
        self.say("ok")

    async def _noop_verb(self, argument: bytes) -> None:
        self.say("ok")

    async def _vrfy_verb(self, argument: bytes) -> None:
        self.say("verify")

    async def _help_verb(self, argument: bytes) -> None:
        self.say("help")

    async def _expn_verb(self, argument: bytes) -> None:
        self.say("not-implemented")

    async def _quit_verb(self, argument: bytes) -> None:
        self.say("bye")
        self.hang_up()


_VERBS: dict[bytes, Callable[[Session, bytes], Awaitable[None]]] = {
    b"HELO": Session._helo_verb,
    b"EHLO": Session._ehlo_verb,
    b"STARTTLS": Session._starttls_verb,
    b"AUTH": Session._auth_verb,
    b"MAIL": Session._mail_verb,
    b"RCPT": Session._rcpt_verb,
    b"DATA": Session._data_verb,
    b"RSET": Session._rset_verb,
    b"NOOP": Session._noop_verb,
    b"VRFY": Session._vrfy_verb,
    b"EXPN": Session._expn_verb,
    b"HELP": Session._help_verb,
    b"QUIT": Session._quit_verb,
}
_TEXT_ARGUMENT = frozenset(
    {b"HELO", b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"NOOP", b"VRFY", b"EXPN", b"HELP"}
)


async def _feed(reception: Reception, piece: bytes) -> Refused | None:
    """Pass a piece on; a refusal waits until the client has sent everything."""
    try:
        await reception.feed(piece)
    except Refused as error:
        return error
    except SpoolFull:
        return Refused("disk-full")
    except SpoolBusy:
        return Refused("busy")
    return None


async def _discard(reception: Reception) -> None:
    try:
        await reception.discard()
    except SpoolError:
        return  # orphaned rows are swept at the next start
