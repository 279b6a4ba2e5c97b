"""The table of tests/dialogs/smarthost.table, each line tried on real lanes and a real spool."""

import re
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.certificates import Authority, ServerCertificate
from fakes.delivery_rig import CONTENT, Rig, rig_smarthost, with_login
from fakes.faulty_certificates import issued, self_signed
from fakes.script import Action, Behaviour, Command
from fakes.smarthost import Smarthost

from relay.config.model import Smarthost as Entry
from relay.config.model import TlsMode
from relay.envelope import Recipient
from relay.smarthost.connect import Timeouts
from relay.spool.ledger_entry import BlockedBy
from relay.spool.view import MessageView

TABLE = Path(__file__).parents[1] / "dialogs" / "smarthost.table"
SENDER, RECIPIENT = "info@bakkerij.nl", Recipient("een@example.net", frozenset({"NEVER"}))
STEPS = {
    **{"greeting": "CONNECT", "EHLO again": "EHLO", "body": "BODY", "dot": "DOT"},
    **{"MAIL at once": "MAIL", "RCPT at once": "RCPT", "LAST at once": "BDAT"},
}
PATIENCE = {
    "greeting": "greeting",
    "EHLO": "command",
    "STARTTLS": "command",
    "TLS": "command",
    "AUTH": "command",
    "MAIL": "mail",
    "RCPT": "mail",
    "DATA": "data",
    "body": "block",
    "dot": "dot",
}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FINAL_DOT, LAST = b"\r\n.\r\n", b" LAST\r\n"
# More than the buffers of both ends of a connection hold.
LARGE = CONTENT + b"x" * 70 + b"\r\n" + b"Hello, hello.\r\n" * 800_000


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    when: str
    server: str
    becomes: str
    in_doubt: bool
    waits: str
    connection: str
    copies: int

    @classmethod
    def of(cls, line: str) -> "Row":
        when, rest = (part.strip() for part in line.split("|", 1))
        server, verdict, *others = (part.strip() for part in rest.rsplit("|", 4))
        becomes, _, doubt = verdict.partition(", ")
        return cls(when, server, becomes, doubt == "in doubt", *others[:2], int(others[2]))

    @property
    def content(self) -> bytes:
        return LARGE if self.when == "body" else CONTENT

    def timeouts(self) -> Timeouts:
        """Patient but where the server is silent."""
        patient = Timeouts(10, 10, 10, 10, 10, 10, 10)
        if self.server != "silence":
            return patient
        step = PATIENCE.get(self.when, "dot")
        return replace(patient, **{step: 0.7 if self.when == "TLS" else 0.3})


ROWS = [
    Row.of(line)
    for line in TABLE.read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
# By which extensions a message goes; where a row's first word says none it is the same by any.
OFFERED = {
    "pipelining": ("PIPELINING",),
    "step by step": (),
    "at once": ("PIPELINING", "CHUNKING"),
}
BY = {
    **dict.fromkeys(("MAIL", "RCPT", "DATA", "dot"), ("pipelining", "step by step")),
    **dict.fromkeys(("MAIL at once", "RCPT at once", "LAST at once"), ("at once",)),
}
CASES = [(row, by) for row in ROWS for by in BY.get(row.when, ("pipelining",))]


def test_the_table_is_long_enough_to_be_of_use() -> None:
    assert len(ROWS) >= 62
    assert len(set(ROWS)) == len(ROWS)
    assert {row.when for row in ROWS} == {*PATIENCE, *BY, "EHLO again"}


def action(row: Row, never: threading.Event) -> Action:
    """What the second column says."""
    text = row.server
    if text == "silence":
        return Action(wait_for=never)
    if text in ("FIN", "RST"):
        return Action(drop="before", reset=text == "RST")
    text = text.removesuffix(", FIN").removesuffix(", RST")
    dropped: dict[str, Any] = {}
    if text != row.server:
        dropped = {"drop": "after", "reset": row.server.endswith("RST")}
    byte_by_byte = text.startswith("byte by byte: ")
    text = re.sub(
        r"\[(\d+) letters\]", lambda found: "y" * int(found[1]), text.split("byte by byte: ")[-1]
    )
    lines = [each.strip().encode().decode("unicode_escape") for each in text.split(" | ")]
    raw = b"".join(line.encode("latin-1") + b"\r\n" for line in lines)
    after = {"body": 1000, "TLS": 1}.get(row.when, 0)
    return Action(reply=raw, byte_by_byte=byte_by_byte, after_bytes=after, **dropped)


@dataclass
class Shop:
    """A smarthost that behaves as one row says, until it comes to its senses."""

    row: Row
    authority: Authority
    directory: Path
    by: str
    never: threading.Event = field(default_factory=threading.Event)

    def behaviour(self) -> Behaviour:
        return Behaviour(
            script=self._script(),
            capabilities=("SIZE 52428800", *OFFERED[self.by]),
            tls="starttls",
            context=self._certificate().server_context(),
            users={"bakker": "geheim"},
        )

    def comes_to_its_senses(self, fake: Smarthost) -> None:
        fake.behaviour.script = {}
        fake.behaviour.context = self.authority.issue().server_context()
        self.never.set()

    def _script(self) -> Any:
        row = self.row
        if row.server.startswith("certificate"):
            return {}
        does = action(row, self.never)
        step = STEPS.get(row.when, row.when)
        if step not in ("EHLO", "BDAT"):
            return {step: does}
        nth = 2 if row.when == "EHLO again" else 1

        def at_that_time(command: Command) -> Action | None:
            return does if command.nth_in_session == nth else None

        return {step: at_that_time}

    def _certificate(self) -> ServerCertificate:
        made = {
            "certificate of an unknown authority": lambda: issued(self.directory, trustme.CA()),
            "certificate for another name": lambda: self.authority.issue("smtp.example.net"),
            "certificate that has expired": lambda: self.authority.issue(not_after=LONG_AGO),
            "certificate that it signed itself": lambda: self_signed(self.directory, "127.0.0.1"),
        }
        return made.get(self.row.server, self.authority.issue)()


@pytest.fixture
def entry_keys(tmp_path: Path, authority: Authority) -> dict[str, Any]:
    login = with_login(tmp_path / "isp.secret")
    return {"tls": TlsMode.STARTTLS, "ca_file": authority.ca_file, **login}


def who_waits(rig: Rig, entry: Entry, view: MessageView) -> str:
    block = rig.dispatcher.blocks.blocked(entry)
    if block is not None:
        names = {BlockedBy.SMARTHOST: "smarthost", BlockedBy.ACCOUNT: "account"}
        return names.get(block.by, "quota")
    waits = view.next_attempt_at is not None and view.next_attempt_at > rig.now
    return "message" if waits else "-"


def assert_nothing_slipped_out(row: Row, fake: Smarthost, sessions: int) -> None:
    """No end of a message where none belongs, and no login in clear."""
    for session in fake.sessions[:sessions]:
        if row.when != "dot" and row.becomes != "delivered":
            assert FINAL_DOT not in session.received
            assert LAST not in session.received or "at once" in row.when
        if session.tls is None:
            assert b"AUTH" not in session.received.upper()


@pytest.mark.parametrize(
    ("row", "by"), CASES, ids=[f"{row.when}: {row.server[:60]}, {by}" for row, by in CASES]
)
async def test_a_smarthost_that_behaves_like_this(
    row: Row,
    by: str,
    tmp_path: Path,
    authority: Authority,
    entry_keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if by == "at once":
        monkeypatch.setattr("relay.smarthost.bdat.is_warm", lambda connection: True)
    shop = Shop(row, authority, tmp_path, by)
    with Smarthost(shop.behaviour()) as fake:
        entry = rig_smarthost(fake, **entry_keys)
        async with Rig(tmp_path, [entry], row.timeouts()) as rig:
            message = await rig.accept(SENDER, [RECIPIENT], row.content)
            view = await attempted(rig, row, message)
            assert view.state.value == row.becomes
            assert view.in_doubt is row.in_doubt
            assert who_waits(rig, entry, view) == row.waits
            before = len(fake.sessions)
            if row.connection == "kept":
                assert_nothing_slipped_out(row, fake, before)
            shop.comes_to_its_senses(fake)
            await the_next(rig, row)
            assert len(fake.sessions) == before + (row.connection == "cut")
            if row.becomes == "queued":
                rig.advance(minutes=16)
                await rig.event("delivered", 2)
                assert [each.value for each in await rig.states(message)] == ["delivered"]
            if row.connection == "cut":
                assert_nothing_slipped_out(row, fake, before)
        assert sum(got.content == row.content for got in fake.received) == row.copies
        assert [got.content for got in fake.accepted if got.content != row.content] == [NEXT]


NEXT = b"Subject: next\r\n\r\nx\r\n"


async def attempted(rig: Rig, row: Row, message: int) -> MessageView:
    """The message after its first attempt."""
    names = {"queued": "deferred"}
    await rig.event(names.get(row.becomes, row.becomes))
    if row.waits in ("smarthost", "account", "quota"):
        await rig.event("paused", by=row.waits)
    await rig.settled()
    view = await rig.show(message)
    for attempt in view.attempts:
        if attempt.reply is not None:
            assert attempt.reply.text.isprintable()
            assert len(attempt.reply.text) <= 1000
    assert "geheim" not in repr(rig.events.seen)
    return view


async def the_next(rig: Rig, row: Row) -> None:
    """Another message, as soon as one may leave."""
    await rig.accept("twee@bakkerij.nl", ["twee@example.net"], NEXT)
    if row.waits in ("smarthost", "account", "quota"):
        rig.advance(minutes=16)
    await rig.event("delivered", recipients=["twee@example.net"])


@pytest.fixture(autouse=True)
def warm_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not look like a connection that was given up."""
    monkeypatch.setattr("relay.delivery.worker._IDLE_SECONDS", 60)
