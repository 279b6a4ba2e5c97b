"""The verbs of SMTP for one client (RFC 5321 section 4), strict outward and patient inward."""

import ssl
from collections.abc import Callable
from functools import partial

from relay.config.model import DeliveryMode, Listener
from relay.intake.connection import Connection
from relay.intake.context import Intake
from relay.intake.data import take_message
from relay.intake.door import Admission
from relay.intake.login import MECHANISMS, take_login
from relay.intake.path import MailCommand, Refusal, parse_mail, parse_rcpt
from relay.intake.reception import Arriving, Reception
from relay.intake.transaction import Transaction
from relay.intake.trouble import Refused
from relay.intake.verdict import answer_with_verdict
from relay.message.trace import protocol_name
from relay.monitor import mail_log
from relay.spool.model import HeldFor, NewMessage

_HTTP = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH"})
_BULK = frozenset({b"BDAT", b"XEXCH50"})
"""Verbs whose data would follow and be taken for commands: the connection must end."""


class Session(Connection):
    """The conversation with one client."""

    def __init__(
        self, intake: Intake, listener: Listener, tls_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(intake, listener, tls_context)
        self._helo = ""
        self._extended = False
        self._login: str | None = None
        self._transaction: Transaction | None = None
        self._commands_without_message = 0

    def begin_again(self) -> None:
        self._transaction = None

    def handle(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        method = _VERBS.get(verb)
        if method is None and verb in _HTTP:
            self.say("not-smtp")
            return
        if method is None and verb in _BULK:
            self.say("not-implemented")
            self.hang_up()
            return
        if verb != b"RCPT":  # a message may have a thousand; wrong ones are errors
            self._commands_without_message += 1
        if self._commands_without_message > self.intake.patience.commands_without_message:
            self.say("too-many-errors")
            return
        if method is None:
            self.say("unknown-command")
        elif argument and verb not in _TEXT_ARGUMENT and argument.strip():
            self.say("no-argument")
        else:
            method(self, argument)

    # --- Greeting, TLS, login ---

    def _helo_verb(self, argument: bytes) -> None:
        if self._hello(argument):
            self._extended = False
            self.say_line(f"250 {self.intake.config.hostname}\r\n".encode())

    def _ehlo_verb(self, argument: bytes) -> None:
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
        if self.tls_context is not None and not self.secure:
            offers.append("STARTTLS")
        if self.admission.client.any_login and not self._lacks_tls(self.admission):
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

    def _starttls_verb(self, argument: bytes) -> None:
        if self.secure:
            self.say("tls-active")
        elif self.tls_context is None:
            self.say("no-tls")
        else:
            self.wait_for(self._secured())

    async def _secured(self) -> None:
        await self.start_tls()
        # All that was said before is forgotten (RFC 3207 section 4.2).
        self.begin_again()
        self._helo = ""
        self._login = None

    def _lacks_tls(self, admission: Admission) -> bool:
        return admission.client.require_tls and not self.secure

    def _auth_verb(self, argument: bytes) -> None:
        if not self.admission.client.any_login:
            self.say("no-auth")
        elif self._lacks_tls(self.admission):
            self.say("tls-required")
        elif not self._helo:
            self.say("hello-first")
        elif self._transaction is not None:
            self.say("nested-mail")
        elif self._login is not None:
            self.say("auth-done")
        else:
            self.wait_for(self._logged_in(argument))

    async def _logged_in(self, argument: bytes) -> None:
        slug, mechanism = await take_login(argument, self._ask)
        self.say(slug)
        if mechanism is not None:
            self._login = mechanism
            mail_log.login_accepted(self.admission.client.name, self.peer, mechanism)

    async def _ask(self, challenge: bytes) -> bytes | None:
        self.say_line(challenge)
        return await self.read_line()

    # --- The transaction ---

    def _mail_verb(self, argument: bytes) -> None:
        if not self._helo:
            self.say("hello-first")
            return
        # The rules of this moment, not of when the connection began.
        current = self._current_admission()
        if current is None:
            slug = "not-listed" if self.admission.balancer else "no-longer-listed"
            self._refuse(slug, address=self.peer)
        elif self._lacks_tls(current):
            self._refuse("tls-required")
        elif self._transaction is not None:
            self.say("nested-mail")
        else:
            command = parse_mail(b" " + argument, smtputf8_allowed=self._extended, lenient=True)
            self._begin(command, current)

    def _begin(self, command: MailCommand | Refusal, current: Admission) -> None:
        if isinstance(command, Refusal):
            self._refuse(command.slug.value, detail=command.detail)
        elif command.size is not None and command.size > self._size_limit():
            self._refuse("too-big", limit=self._size_limit())
        elif not self.intake.has_room():
            self._refuse("disk-full")
        elif (delay := self.intake.door.delay(current, self.intake.clock())) is None:
            limit = current.client.messages_per_minute
            self._refuse("rate", address=self.peer, limit=limit)
        elif delay:
            self.wait_for(self._begun_late(command, delay))
        else:
            self._begun(command)

    async def _begun_late(self, command: MailCommand, delay: float) -> None:
        await self.pause(delay)
        self._begun(command)

    def _begun(self, command: MailCommand) -> None:
        self._transaction = Transaction(command)
        self.say("sender-ok")

    def _current_admission(self) -> Admission | None:
        return self.intake.door.find_again(self.admission, self.intake.clock())

    def _rcpt_verb(self, argument: bytes) -> None:
        transaction = self._transaction
        if transaction is None:
            self.say("mail-first")
            return
        command = parse_rcpt(
            b" " + argument, smtputf8_allowed=transaction.mail.smtputf8, lenient=True
        )
        if isinstance(command, Refusal):
            transaction.refused_recipients += 1
            self._refuse(command.slug.value, detail=command.detail)
        elif command.address in transaction.recipients:
            self.say("recipient-ok")
        elif len(transaction.recipients) >= self.listener.max_recipients:
            self.say("too-many-recipients", limit=self.listener.max_recipients)
        else:
            transaction.add(command)
            self.say("recipient-ok")

    def _refuse(self, slug: str, **details: object) -> None:
        """Say no to a message or a recipient, and log it."""
        self.say(slug, **details)
        self.log_refusal(slug, **details)

    def _data_verb(self, argument: bytes) -> None:
        transaction = self._transaction
        if transaction is None:
            self.say("mail-first")
        elif not transaction.recipients:
            self.say("no-valid-recipient" if transaction.refused_recipients else "rcpt-first")
        else:
            reception = Reception(self.intake, self._arriving(transaction))
            self._transaction = None
            self.in_data = True
            self.say("go-ahead")
            self.wait_for_data(partial(self._take, reception, self.loop.time()))

    async def _take(self, reception: Reception, began: float) -> None:
        try:
            taken = await take_message(self, reception, self._size_limit(), began)
            if isinstance(taken, Refused):
                self._refuse(taken.slug, **taken.details)
                return
            self._commands_without_message = 0
            if reception.waiting is None:
                self._confirm(taken, reception)
                self._pass_on(taken, reception)
            else:
                self._pass_on(taken, reception)
                self.say_line(await answer_with_verdict(self, taken, reception.waiting))
                self.flush()
        finally:
            self.in_data = False
            reception.end_wait()

    def _arriving(self, transaction: Transaction) -> Arriving:
        return Arriving(
            id=self.intake.spool.queue.new_id(),
            admission=self._current_admission() or self.admission,
            envelope=transaction.envelope(),
            helo=self._helo,
            protocol=protocol_name(
                extended=self._extended,
                tls=self.secure,
                login=self._login is not None,
                smtputf8=transaction.mail.smtputf8,
            ),
        )

    def _confirm(self, message: NewMessage, reception: Reception) -> None:
        """The message is committed: say so to the client."""
        held = any(place.held_for is not None for place in message.placements)
        if self.intake.config.sandbox:
            self.say("accepted-sandbox", id=reception.id)
        elif any(place.held_for is HeldFor.LEARNING for place in message.placements):
            self.say("accepted-learning", id=reception.id, address=message.client_address)
        elif self.intake.config.delivery.mode is DeliveryMode.DIRECT and not held:
            self.say("accepted-queued", id=reception.id)
        else:
            self.say("accepted", id=reception.id)
        self.flush()

    def _pass_on(self, message: NewMessage, reception: Reception) -> None:
        """The same to the dispatcher and the log."""
        if not reception.handed_over:
            queued = {place.lane for place in message.placements if place.held_for is None}
            self.intake.accepted(queued)
        mail_log.accepted(message, reception.size_bytes)
        self.intake.door.arrivals.accepted(message.client, message.received_at, tls=self.secure)
        if message.repairs:
            mail_log.repaired(message.id, message.repairs)

    def _size_limit(self) -> int:
        """The smallest of the listener's limit, the client's, and what the smarthost takes."""
        limits = (
            self.listener.max_message_bytes,
            self.admission.client.max_message_bytes,
            self.intake.smarthost_size_bytes(),
        )
        return min(limit for limit in limits if limit is not None)

    def _rset_verb(self, argument: bytes) -> None:
        self.begin_again()
        self.say("ok")

    def _noop_verb(self, argument: bytes) -> None:
        self.say("ok")

    def _vrfy_verb(self, argument: bytes) -> None:
        self.say("verify")

    def _help_verb(self, argument: bytes) -> None:
        self.say("help")

    def _expn_verb(self, argument: bytes) -> None:
        self.say("not-implemented")

    def _quit_verb(self, argument: bytes) -> None:
        self.say("bye")
        self.hang_up()


_VERBS: dict[bytes, Callable[[Session, bytes], None]] = {
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
