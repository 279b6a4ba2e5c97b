"""One connection of the fake Microsoft 365: its login, and what it refuses to whom."""

from __future__ import annotations

import email.policy
import socket
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

from fakes import microsoft365_words as words
from fakes.script import Action, Command
from fakes.smarthost_record import Login, SessionRecord, Transaction
from fakes.smarthost_session import Session

if TYPE_CHECKING:
    from fakes.microsoft365 import Microsoft365


class ExchangeSession(Session):
    """Serves one accepted connection as Exchange Online does."""

    def __init__(
        self, server: Microsoft365, connection: socket.socket, record: SessionRecord
    ) -> None:
        super().__init__(server, connection, record)
        self._exchange = server
        self._account = ""
        self._crowded = False

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._exchange.rules.leave(self._account, self._record.number)

    def _answer(
        self, command: Command, ordinary: str, transaction: Transaction | None = None
    ) -> str:
        if ordinary[0] in "23" and command.verb in words.ORDINARY:
            ordinary = words.ORDINARY[command.verb]
        return super()._answer(command, ordinary, transaction)

    def _on_ehlo(self, command: Command) -> None:
        Session._answer(self, command, words.ehlo(self._record.tls is not None))

    def _on_auth(self, command: Command) -> None:
        mechanism, _, initial = command.argument.partition(" ")
        mechanism = mechanism.upper()
        if self._record.tls is None or mechanism not in ("LOGIN", "XOAUTH2"):
            self._answer(command, words.MECHANISM)
            return
        username, secret = self._credentials(mechanism, initial)
        if mechanism == "LOGIN":
            refusal = self._exchange.refusal_of_password(username, secret)
        else:
            refusal = self._exchange.refusal_of_token(username, secret)
            if refusal is not None and self._exchange.explains_refused_tokens:
                self._prompted(words.TOKEN_CHALLENGE)
        reply = refusal or words.ORDINARY["AUTH"]
        self._logged_in = refusal is None
        self._record.logins.append(Login(mechanism, username, secret, self._logged_in))
        self._exchange.logged(mechanism, username, secret, reply)
        if self._logged_in:
            self._account = username.casefold()
            self._crowded = not self._exchange.rules.enter(self._account, self._record.number)
        self._answer(command, reply)

    def _on_mail(self, command: Command) -> None:
        if not self._logged_in:
            self._answer(command, words.ANONYMOUS)
        elif self._crowded and self._exchange.refuses_crowd_at == "MAIL":
            self._answer(command, words.CROWDED)
        elif self._sender is None and not self._exchange.rules.submit(self._account):
            self._answer(command, words.RATE)
            self._drop(Action())
        else:
            super()._on_mail(command)

    def _on_rcpt(self, command: Command) -> None:
        if len(self._recipients) >= self._exchange.rules.limits.recipients_per_message:
            self._answer(command, words.TOO_MANY_RECIPIENTS)
        else:
            super()._on_rcpt(command)

    def _on_quit(self, command: Command) -> None:
        # Before the 221: whoever has read it may connect anew.
        self._exchange.rules.leave(self._account, self._record.number)
        super()._on_quit(command)

    def _finish(self, command: Command, content: bytes, chunked: bool) -> None:
        """Records the message, and hangs up where a session has had its share."""
        super()._finish(command, content, chunked)
        most = self._exchange.messages_per_session
        if most is not None and len(self._record.transactions) >= most:
            self._drop(Action())

    def _verdict(self, transaction: Transaction) -> str:
        exchange, account = self._exchange, self._account
        exchange.stopping.wait(exchange.seconds_per_message / exchange.clock.factor)
        if self._crowded:
            return words.THREADS
        for address in (transaction.sender.address, *authors(transaction.content)):
            if not exchange.may_send_as(account, address):
                return words.send_as_denied(account, address)
        if not exchange.rules.address(account, len(transaction.recipients)):
            return words.DAILY_QUOTA
        exchange.took(account, transaction)
        return words.ORDINARY["DOT"]


def authors(content: bytes) -> list[str]:
    """The addresses of From; without any an empty one, which nobody may send as."""
    header = BytesHeaderParser(policy=email.policy.default).parsebytes(content)
    found = header["From"]
    return [each.addr_spec for each in found.addresses] if found is not None else [""]
