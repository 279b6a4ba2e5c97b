"""One connection of the scripted smarthost: reads commands, follows the script, records."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import socket
import ssl
import time
from typing import TYPE_CHECKING

from fakes.script import Action, Answer, Behaviour, Command
from fakes.smarthost_record import Login, Path, SessionRecord, Transaction
from fakes.smtp_stream import SmtpStream

if TYPE_CHECKING:
    from fakes.smarthost import Smarthost

_PATH = re.compile(r"(?:FROM|TO):\s*<(?P<address>[^>]*)>\s*(?P<parameters>.*)", re.IGNORECASE)
_XOAUTH2 = re.compile("user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01")
_HOSTNAME = "smarthost.test"


class _EndedError(Exception):
    """The connection is over; the argument says how."""


class Session:
    """Serves one accepted connection until it ends."""

    def __init__(self, server: Smarthost, connection: socket.socket, record: SessionRecord) -> None:
        self._server = server
        self._behaviour: Behaviour = server.behaviour
        self._stream = SmtpStream(connection, record.received.extend)
        self._record = record
        self._logged_in = False
        self._sender: Path | None = None
        self._recipients: list[Path] = []
        self._chunks = bytearray()
        self._chunk_refused = False

    def run(self) -> None:
        """Talks until the connection ends, and records how."""
        try:
            self._talk()
        except _EndedError as end:
            self._record.ended = str(end)
        except ssl.SSLError:
            self._record.ended = "tls failed"
        except OSError:
            self._record.ended = "closed by client"
        finally:
            self._stream.close()

    def abort(self) -> None:
        """Ends the connection from another thread."""
        self._stream.abort()

    def _talk(self) -> None:
        if self._behaviour.tls == "implicit":
            self._handshake()
        self._answer(self._moment("CONNECT"), f"220 {_HOSTNAME} ESMTP")
        while True:
            self._serve_one(self._stream.line())

    # What the client says.

    def _serve_one(self, line: str) -> None:
        self._record.commands.append(line)
        verb, _, argument = line.partition(" ")
        self._record.pipelined |= self._stream.has_more and verb.upper() != "BDAT"
        command = self._server.count(verb.upper(), self._record, argument.strip())
        serve = getattr(self, f"_on_{command.verb.lower()}", None)
        if serve is None:
            self._answer(command, "500 5.5.1 unknown command")
        else:
            serve(command)

    def _on_helo(self, command: Command) -> None:
        self._answer(command, f"250 {_HOSTNAME}")

    def _on_ehlo(self, command: Command) -> None:
        behaviour, secure = self._behaviour, self._record.tls is not None
        words = [_HOSTNAME, *behaviour.capabilities]
        if behaviour.tls == "starttls" and not secure:
            words.append("STARTTLS")
        if behaviour.users and (secure or behaviour.login_without_tls):
            words.append(f"AUTH {' '.join(behaviour.mechanisms)}")
        lines = [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]
        self._answer(command, "\n".join(lines))

    def _on_starttls(self, command: Command) -> None:
        if self._behaviour.tls != "starttls":
            self._answer(command, "502 5.5.1 not offered")
        elif self._answer(command, "220 2.0.0 go ahead").startswith("220"):
            self._handshake()
            self._logged_in = False

    def _on_auth(self, command: Command) -> None:
        mechanism, _, initial = command.argument.partition(" ")
        mechanism = mechanism.upper()
        if mechanism not in self._behaviour.mechanisms:
            self._answer(command, "504 5.5.4 no such mechanism")
            return
        username, password = self._credentials(mechanism, initial)
        right = self._is_right(mechanism, username, password)
        if mechanism == "XOAUTH2" and not right and self._behaviour.token_challenge is not None:
            coded = base64.b64encode(self._behaviour.token_challenge.encode())
            self._stream.send(b"334 " + coded + b"\r\n")
            self._record.commands.append(self._stream.line())
        ordinary = "235 2.7.0 welcome" if right else "535 5.7.8 wrong user name or password"
        reply = self._answer(command, ordinary)
        self._logged_in = reply.startswith("235")
        self._record.logins.append(Login(mechanism, username, password, self._logged_in))

    def _is_right(self, mechanism: str, username: str, password: str) -> bool:
        user_of = self._behaviour.user_of
        if mechanism == "XOAUTH2" and user_of is not None:
            return user_of(password) == username != ""
        return self._behaviour.users.get(username) == password != ""

    def _on_mail(self, command: Command) -> None:
        path = _path(command.argument)
        if self._behaviour.users and self._behaviour.login_required and not self._logged_in:
            self._answer(command, "530 5.7.0 log in first")
        elif self._sender is not None:
            self._answer(command, "503 5.5.1 nested MAIL")
        elif path is None:
            self._answer(command, "501 5.5.4 syntax")
        elif self._answer(command, "250 2.1.0 sender ok").startswith("2"):
            self._sender = path

    def _on_rcpt(self, command: Command) -> None:
        path = _path(command.argument)
        if self._sender is None:
            self._answer(command, "503 5.5.1 MAIL first")
        elif path is None:
            self._answer(command, "501 5.5.4 syntax")
        elif self._answer(command, "250 2.1.5 recipient ok").startswith("2"):
            self._recipients.append(path)

    def _on_data(self, command: Command) -> None:
        if self._sender is None:
            self._answer(command, "503 5.5.1 MAIL first")
        elif not self._recipients:
            self._answer(command, "554 5.5.1 no valid recipients")
        elif self._answer(command, "354 go ahead").startswith("354"):
            self._misbehave("BODY")
            content = self._stream.message()
            self._finish(self._moment("DOT"), content, chunked=False)

    def _on_bdat(self, command: Command) -> None:
        size, _, last = command.argument.partition(" ")
        if not self._chunks and self._recipients:
            self._misbehave("BODY")
        chunk = self._stream.exactly(int(size))
        if self._sender is None or not self._recipients:
            self._answer(command, "503 5.5.1 MAIL and RCPT first")
        elif self._chunk_refused:
            self._answer(command, "503 5.5.1 discarded after an earlier error")
        elif last.upper() == "LAST":
            scripted = self._action(command) != Action()
            arrived = command if scripted else self._moment("DOT")
            self._finish(arrived, bytes(self._chunks + chunk), chunked=True)
        else:
            self._chunks += chunk
            taken = self._answer(command, "250 2.0.0 chunk ok").startswith("2")
            self._chunk_refused = not taken

    def _on_rset(self, command: Command) -> None:
        self._forget()
        self._answer(command, "250 2.0.0 forgotten")

    def _on_noop(self, command: Command) -> None:
        self._answer(command, "250 2.0.0 ok")

    def _on_quit(self, command: Command) -> None:
        self._answer(command, "221 2.0.0 bye")
        raise _EndedError("quit")

    # What the server does.

    def _answer(
        self, command: Command, ordinary: str, transaction: Transaction | None = None
    ) -> str:
        """Answers by the script, else with the ordinary reply; returns what was answered."""
        action = self._action(command)
        if action.wait_for is not None:
            self._stall(action)
        if action.drop == "before":
            self._drop(action)
        reply = ordinary if action.reply is None else action.reply
        raw = reply if isinstance(reply, bytes) else _wire(reply)
        text = raw.decode("latin-1").replace("\r\n", "\n").rstrip("\n")
        self._record.replies.append(text)
        if transaction is not None:
            transaction.reply = text
        self._server.changed()
        self._stream.send(raw, action.byte_by_byte)
        if action.drop == "after":
            self._drop(action)
        return text

    def _finish(self, command: Command, content: bytes, chunked: bool) -> None:
        """Records the message before the reply goes out or the drop happens."""
        assert self._sender is not None
        record = self._record
        transaction = Transaction(
            session=record.number,
            sender=self._sender,
            recipients=tuple(self._recipients),
            content=content,
            chunked=chunked,
            arrived=time.monotonic(),
        )
        self._forget()
        record.transactions.append(transaction)
        self._server.changed()
        self._answer(command, self._verdict(transaction), transaction)

    def _verdict(self, transaction: Transaction) -> str:
        """The ordinary reply to a message that has arrived."""
        return f"250 2.0.0 queued as {transaction.session}-{len(self._record.transactions)}"

    def _misbehave(self, moment: str) -> None:
        """Acts at a moment at which there is nothing to reply to."""
        action = self._action(self._moment(moment))
        if action == Action():
            return
        self._stream.wait_for_bytes(action.after_bytes)
        if action.wait_for is not None:
            self._stall(action)
        if action.reply is not None:
            raw = action.reply if isinstance(action.reply, bytes) else _wire(action.reply)
            self._stream.send(raw, action.byte_by_byte)
        if action.drop != "never":
            self._drop(action)

    def _action(self, command: Command) -> Action:
        answer = self._behaviour.script.get(command.verb)
        chosen: Answer = answer(command) if callable(answer) else answer
        return chosen if isinstance(chosen, Action) else Action(reply=chosen)

    def _moment(self, name: str) -> Command:
        return self._server.count(name, self._record)

    def _stall(self, action: Action) -> None:
        assert action.wait_for is not None
        while not action.wait_for.wait(0.02):
            if self._server.stopping.is_set():
                raise _EndedError("dropped")

    def _drop(self, action: Action) -> None:
        self._stream.close(action.reset)
        raise _EndedError("dropped")

    def _forget(self) -> None:
        self._sender, self._recipients, self._chunks = None, [], bytearray()
        self._chunk_refused = False

    def _credentials(self, mechanism: str, initial: str) -> tuple[str, str]:
        if mechanism == "LOGIN":
            username = _decoded(initial) if initial else self._prompted("Username:")
            return username, self._prompted("Password:")
        token = _decoded(initial) if initial else self._prompted("")
        if mechanism == "XOAUTH2":
            found = _XOAUTH2.fullmatch(token)
            return (found[1], found[2]) if found else ("", "")
        _, _, pair = token.partition("\0")
        username, _, password = pair.partition("\0")
        return username, password

    def _prompted(self, prompt: str) -> str:
        self._stream.send(b"334 " + base64.b64encode(prompt.encode()) + b"\r\n")
        return _decoded(self._stream.line())

    def _handshake(self) -> None:
        assert self._behaviour.context is not None
        self._misbehave("TLS")
        self._record.tls = self._stream.start_tls(self._behaviour.context)


def _wire(reply: str) -> bytes:
    return reply.replace("\n", "\r\n").encode() + b"\r\n"


def _path(argument: str) -> Path | None:
    found = _PATH.fullmatch(argument)
    return Path(found["address"], tuple(found["parameters"].split())) if found else None


def _decoded(text: str) -> str:
    with contextlib.suppress(binascii.Error, UnicodeDecodeError):
        return base64.b64decode(text, validate=True).decode()
    return ""
