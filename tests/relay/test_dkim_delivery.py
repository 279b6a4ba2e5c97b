"""Outgoing mail is signed at each attempt; what cannot be signed waits, and nothing else does."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.delivery_rig import Rig, rig_smarthost
from fakes.mail_dkim import publish, verdicts
from fakes.nameserver import NameServer
from fakes.peers import needs
from fakes.script import Behaviour, when
from fakes.smarthost import Smarthost

from presets.explain import explain
from relay.config.model import Dkim, PolicyKind, SecretRef, SenderPolicy
from relay.control.health import health
from relay.delivery import signing
from relay.message import headers
from relay.message.dkim import BodyHash
from relay.message.dkim_record import new_key, record_of
from relay.spool.model import HeldFor, State

OWN = "info@bakkerij.nl"
BODY = b"Hallo.\r\n.\r\n\r\n\r\n"


def message(sender: str = OWN, body: bytes = BODY) -> bytes:
    return (
        f"From: De Bakkerij <{sender}>\r\nTo: klant@example.net\r\nSubject: Factuur\r\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@bakkerij.nl>\r\n\r\n"
    ).encode() + body


class Key:
    """A key in a file, published at a name server."""

    def __init__(self, directory: Path, server: NameServer) -> None:
        self.server = server
        self.file = directory / "dkim.pem"
        key, self.pem = new_key()
        self.restore()
        record = record_of("bakkerij.nl", "relay", key)
        publish(server, record.name, record.value)
        self.entry = Dkim("bakkerij.nl", "relay", SecretRef("file", str(self.file)))

    def restore(self) -> None:
        self.file.touch()
        self.file.chmod(0o600)
        self.file.write_bytes(self.pem)

    def results(self, content: bytes) -> list[str]:
        return [verdict.result for verdict in verdicts(content, self.server)]


@pytest.fixture
def key(tmp_path: Path) -> Iterator[Key]:
    with NameServer() as server:
        yield Key(tmp_path, server)


def signatures(content: bytes) -> int:
    return len(headers.named(headers.split(content)[0], b"DKIM-Signature"))


async def problems(rig: Rig) -> list[tuple[str, str]]:
    """What `relay status` says of the keys."""
    found = (await health(rig.spool, rig.config, rig.now))["problems"]
    return [(each["id"], each["domain"]) for each in found if "domain" in each]


@needs("mail-dkim")
async def test_what_arrives_verifies_and_its_body_is_the_same(tmp_path: Path, key: Key) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            await rig.accept(OWN, ["klant@example.net"], message())
            await rig.event("delivered")
        (sent,) = fake.accepted
        assert key.results(sent.content) == ["pass"]
        assert sent.content.endswith(message())
        assert sent.sender.parameters[0] == f"SIZE={len(sent.content)}"


@needs("mail-dkim")
async def test_a_body_in_many_pieces(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: set[threading.Thread] = set()
    feed = BodyHash.feed

    def watched(self: BodyHash, piece: bytes) -> None:
        where.add(threading.current_thread())
        feed(self, piece)

    monkeypatch.setattr(BodyHash, "feed", watched)
    body = b"regel met \t blanco's \r\n" * 120_000
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            await rig.accept(OWN, ["klant@example.net"], message(body=body))
            await rig.event("delivered")
        assert key.results(fake.accepted[0].content) == ["pass"]
        assert fake.accepted[0].content.endswith(message(body=body))
    assert threading.main_thread() not in where


@needs("mail-dkim")
async def test_the_domain_of_from_as_it_leaves_decides(tmp_path: Path, key: Key) -> None:
    force = SenderPolicy(PolicyKind.FORCE, OWN)
    with Smarthost() as fake, Smarthost() as forcing:
        smarthosts = [rig_smarthost(fake), rig_smarthost(forcing, "force", sender=force)]
        async with Rig(tmp_path, smarthosts, dkim=(key.entry,)) as rig:
            for sender in ("a@elders.nl", "a@winkel.bakkerij.nl", "a@nepbakkerij.nl"):
                await rig.accept(sender, ["klant@example.net"], message(sender))
            await rig.event("delivered", 3)
            await rig.reload(smarthosts=(smarthosts[1],))
            await rig.accept("a@elders.nl", ["klant@example.net"], message("a@elders.nl"))
            await rig.event("delivered", 4)
        assert [signatures(sent.content) for sent in fake.accepted] == [0, 1, 0]
        assert key.results(fake.accepted[1].content) == ["pass"]
        assert key.results(forcing.accepted[0].content) == ["pass"]


@needs("mail-dkim")
async def test_our_own_report_is_signed(tmp_path: Path, key: Key) -> None:
    refuse = {"RCPT": when({"weg@": "550 5.1.1 no such mailbox"})}
    with Smarthost(Behaviour(refuse)) as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            await rig.accept(OWN, ["weg@example.net"], message())
            await rig.event("delivered")
        (report,) = fake.accepted
        assert b"multipart/report" in report.content
        assert key.results(report.content) == ["pass"]


BROKEN: dict[str, Any] = {
    "gone": lambda file: file.unlink(),
    "open to all": lambda file: file.chmod(0o644),
    "no key": lambda file: file.write_text("-----BEGIN PRIVATE KEY-----\n"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_without_its_key_only_the_mail_of_that_domain_waits(
    tmp_path: Path, key: Key, how: str
) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            BROKEN[how](key.file)
            waiting = [await rig.accept(OWN, ["klant@example.net"], message()) for _ in range(2)]
            await rig.accept("a@elders.nl", ["klant@example.net"], message("a@elders.nl"))
            await rig.event("delivered")
            await rig.event("deferred", 2, cause="dkim-key")
            assert [await rig.states(each) for each in waiting] == [[State.QUEUED]] * 2
            (alert,) = rig.events.named("alert")
            assert (alert["cause"], alert["domain"]) == ("dkim-key", "bakkerij.nl")
            assert "PRIVATE" not in alert["text"]
            (attempt,) = (await rig.show(waiting[0])).attempts
            assert attempt.reply is not None
            assert explain(attempt.reply, provider="ziggo").cause == "dkim-not-signed"
            assert rig.events.named("paused") == []
            assert await problems(rig) == [("dkim-key", "bakkerij.nl")]
            key.restore()
            assert await problems(rig) == []
            rig.advance(minutes=2)
            await rig.event("delivered", 3)
            assert len(rig.events.named("alert")) == 1
        assert [signatures(sent.content) for sent in fake.accepted] == [0, 1, 1]


async def test_a_second_failure_calls_for_help_again(tmp_path: Path, key: Key) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            for round_ in (1, 2):
                key.file.unlink()
                await rig.accept(OWN, ["klant@example.net"], message())
                await rig.event("deferred", round_)
                assert len(rig.events.named("alert")) == round_
                key.restore()
                rig.advance(minutes=2)
                await rig.event("delivered", round_)


async def test_a_fault_in_signing_loses_nothing(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("boem")

    monkeypatch.setattr(signing, "sign", broken)
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            number = await rig.accept(OWN, ["klant@example.net"], message())
            for attempt in range(1, 6):
                await rig.event("deferred", attempt, cause="dkim-key")
                rig.advance(hours=2)
            assert await rig.states(number) == [State.QUEUED]
            assert "boem" in rig.events.named("alert")[0]["text"]
        assert fake.received == []


async def test_at_the_end_of_its_lifetime_it_is_held_and_nobody_gets_a_report(
    tmp_path: Path, key: Key
) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            key.file.unlink()
            number = await rig.accept(OWN, ["klant@example.net"], message())
            await rig.event("deferred")
            rig.now += timedelta(days=6)
            rig.dispatcher.wake()
            await rig.event("held")
            (recipient,) = (await rig.show(number)).recipients
            assert (recipient.state, recipient.held_for) == (State.HELD, HeldFor.LIFETIME)
            assert rig.events.named("dsn") == []


async def test_a_new_key_in_the_file_is_used_at_once(tmp_path: Path, key: Key) -> None:
    with Smarthost() as fake:
        async with Rig(tmp_path, [rig_smarthost(fake)], dkim=(key.entry,)) as rig:
            await rig.accept(OWN, ["klant@example.net"], message())
            await rig.event("delivered")
            key.file.write_bytes(new_key()[1])
            await rig.accept(OWN, ["klant@example.net"], message())
            await rig.event("delivered", 2)
        first, second = (sent.content.split(b"From:", 1)[0] for sent in fake.accepted)
        assert first != second


async def test_a_body_is_read_once_for_all_its_transactions(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    digest = BodyHash.digest

    def counted(self: BodyHash) -> bytes:
        hashed.append(1)
        return digest(self)

    monkeypatch.setattr(BodyHash, "digest", counted)
    with Smarthost() as fake:
        smarthost = rig_smarthost(fake, max_recipients=2)
        async with Rig(tmp_path, [smarthost], dkim=(key.entry,)) as rig:
            await rig.accept(OWN, [f"k{n}@example.net" for n in range(6)], message())
            await rig.event("delivered")
            await asyncio.to_thread(fake.wait_until, lambda: len(fake.accepted) == 3)
    assert len(hashed) == 1
