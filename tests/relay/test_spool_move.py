"""`relay spool move`: everything of a spool in another store, once, whatever happens meanwhile."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from fakes.stocked_spool import TABLES, office_config
from fakes.stores import AnySpool, PostgresStore
from typer.testing import CliRunner, Result

from presets.reply import Reply
from relay.cli.app import app
from relay.config.secret import SecretRef
from relay.envelope import Envelope, Origin, Recipient
from relay.spool.ledger_entry import (
    AdoptedDevice,
    Block,
    BlockedBy,
    LaneAccount,
    PausedAccount,
    RefusedDevice,
    SenderRule,
    Usage,
)
from relay.spool.lock import SpoolLock
from relay.spool.model import (
    AttemptRecord,
    HeldFor,
    NewMessage,
    Outcome,
    Placement,
    RecipientResult,
    Settlement,
    State,
)
from relay.spool.sharing import Vitals
from relay.spool.sqlite import open_spool
from relay.spool.transfer.postgres_end import PostgresTarget
from relay.spool.vault_entry import Grant

pytestmark = needs("postgres")

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOST, USER = "smtp.example.net", "bakker"
GRANT = Grant("CANARY-refresh", "CANARY-access", NOW, NOW, NOW, ("a", "b"))
ROOT = Path(__file__).parents[2]
KILLED = 9
KEY = "een geheim voor de opslag"


T = TypeVar("T")


def clock() -> datetime:
    return NOW


async def accept(
    spool: AnySpool,
    name: str,
    body: bytes = b"Subject: x\r\n\r\nx\r\n",
    held: HeldFor | None = None,
) -> int:
    number = spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    for at in range(0, len(body), 100_000):
        await writer.write(body[at : at + 100_000])
    recipients = (
        Recipient(f"{name}@example.net", frozenset({"FAILURE"}), "rfc822;x"),
        Recipient("kopie@example.net", None, None, Origin.BCC),
    )
    message = NewMessage(
        id=number,
        received_at=NOW,
        expires_at=NOW + timedelta(days=5),
        client="kassa",
        client_address="192.168.1.20",
        envelope=Envelope(None, recipients, ret="HDRS", envid="é+41", smtputf8=True),
        placements=(Placement("isp", held), Placement("m365", held)),
        message_id=f"<{name}@kassa>",
        subject="Factuur één",
        repairs=(("added-date", "Sat"),),
    )
    await spool.queue.accept(message, writer)
    return number


async def settle(spool: AnySpool, state: State, lane: str) -> int:
    """Ends an attempt of the oldest message that is due in a lane."""
    (claim,) = await spool.queue.claim(lane, 1)
    (queued,) = claim.recipients
    outcome = {State.DELIVERED: Outcome.DELIVERED, State.QUEUED: Outcome.DEFERRED}[state]
    reply = Reply(451 if state is State.QUEUED else 250, "4.3.0", "later é")
    attempt = AttemptRecord(outcome, (queued.position,), "dot", "192.0.2.1", 0.125, reply)
    await spool.queue.settle(
        Settlement(
            claim,
            NOW,
            (RecipientResult(queued.position, state, reply),),
            (attempt,),
            due_at=NOW + timedelta(hours=1),
            counts=state is State.QUEUED,
            usage=Usage(HOST, USER, 1, 1, NOW, 1),
        )
    )
    return claim.message


async def stock(spool: AnySpool) -> list[int]:
    """Something of everything; the ids."""
    big = bytes(range(256)) * 10_000
    ids = [await accept(spool, "klaar")]
    await settle(spool, State.DELIVERED, "isp")
    await settle(spool, State.DELIVERED, "m365")
    ids.append(await accept(spool, "later"))
    await settle(spool, State.QUEUED, "isp")
    ids.append(await accept(spool, "groot", b"Subject: groot\r\n\r\n" + big))
    ids.append(await accept(spool, "vast", held=HeldFor.OPERATOR))
    await spool.queue.reroute([ids[1]], "elders")
    await spool.queue.roll_up(NOW - timedelta(days=1), 100)
    ledger = spool.ledger
    await ledger.block("isp", Block(BlockedBy.SMARTHOST, NOW, 2, NOW, "x", Reply(421, None, "no")))
    await ledger.learn_size("m365", 1000)
    await ledger.lane_accounts([LaneAccount("isp", HOST, USER, 50)])
    await ledger.pause(PausedAccount(HOST, USER, NOW, None, 1, "wrong", None, "mark"))
    await ledger.learn(HOST, USER, '{"per_day": 3}')
    await ledger.note_refused([RefusedDevice("192.168.1.40", 2, NOW, NOW)])
    await ledger.adopt(AdoptedDevice("192.168.1.41", "scanner", NOW))
    await ledger.adopt_sender(SenderRule("isp", "*@a.nl", "b@c.nl", NOW))
    await ledger.remember("secret_mark_key", "0123")
    await spool.vault.keep(HOST, USER, GRANT)
    return ids


async def seen(spool: AnySpool, ids: Sequence[int]) -> dict[str, Any]:
    """All that can be known of it."""
    ledger, queue = spool.ledger, spool.queue
    return {
        "messages": [await queue.show(each) for each in ids],
        "bodies": [b"".join([piece async for piece in queue.body(each)]) for each in ids],
        "unfinished": await queue.page(None, 100),
        "due": await queue.next_due("elders"),
        "lanes": await ledger.lanes(),
        "paused": await ledger.paused(),
        "paces": await ledger.paces(),
        "usage": await ledger.usage(NOW - timedelta(days=1)),
        "refused": await ledger.refused(),
        "adopted": await ledger.adopted(),
        "senders": await ledger.sender_rules(),
        "mark": await ledger.setting("secret_mark_key"),
        "statistics": await queue.statistics(NOW - timedelta(days=1)),
        "token": await spool.vault.grant(HOST, USER),
    }


class Office:
    """A relay.toml, a file and a database, either of which may be its spool."""

    def __init__(self, directory: Path, store: PostgresStore) -> None:
        self.directory = directory
        self.store = store
        self.file = directory / "spool.db"
        office_config(directory)
        secret = directory / "spool.key"
        secret.touch(0o600)
        secret.write_text(KEY)
        self.key = SecretRef("file", str(secret))
        self.use(f"sqlite://{self.file}")

    def use(self, url: str, *, sealed: bool = True) -> None:
        """What `[spool] url` says."""
        key = 'secret_key = { file = "spool.key" }\n' if sealed else ""
        (self.directory / "relay.toml").write_text(
            f'language = "en"\nhostname = "relay.test"\n[spool]\nurl = "{url}"\n{key}{TABLES}'
        )

    def in_file(self, work: Callable[[AnySpool], Awaitable[T]], path: Path | None = None) -> T:
        async def opened() -> T:
            spool = open_spool(path or self.file, clock, self.key)
            try:
                return await work(spool)
            finally:
                await spool.close()

        return asyncio.run(opened())

    def in_database(self, work: Callable[[AnySpool], Awaitable[T]]) -> T:
        async def opened() -> T:
            spool = await self.store.open(clock, self.key)
            try:
                return await work(spool)
            finally:
                await spool.close()

        return asyncio.run(opened())

    def move(self, to: str) -> Result:
        """`relay spool move`."""
        config = str(self.directory / "relay.toml")
        return CliRunner().invoke(app, ["spool", "move", "--to", to, "--config", config, "--json"])

    def die_moving(self, to: str, how: str) -> None:
        """The same in a process that Python of the test's ends as a kill would."""
        program = f"import runpy\n{how}\nrunpy.run_module('relay', run_name='__main__')"
        config = str(self.directory / "relay.toml")
        arguments = ["spool", "move", "--to", to, "--config", config]
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == KILLED, done

    def moved(self, to: str) -> dict[str, Any]:
        """The document of a move that succeeds."""
        done = self.move(to)
        assert done.exit_code == 0, (done.stderr, done.exception)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def office(tmp_path: Path, postgres_store: PostgresStore) -> Office:
    return Office(tmp_path, postgres_store)


def test_there_and_back(office: Office) -> None:
    ids = office.in_file(stock)
    before = office.in_file(lambda spool: seen(spool, ids))
    assert len(before["bodies"][2]) > 2_500_000
    there = office.moved(office.store.url)
    counts = [
        there[each] for each in ("messages", "unfinished", "recipients", "attempts", "tokens")
    ]
    assert counts == [4, 3, 8, 3, 1]
    assert there["body_bytes"] == sum(map(len, before["bodies"]))
    assert office.in_database(lambda spool: seen(spool, ids)) == before
    assert not office.file.exists()
    assert office.in_file(lambda spool: seen(spool, ids), Path(there["kept"])) == before

    office.use(office.store.url)
    back = office.directory / "back.db"
    again = office.moved(f"sqlite://{back}")
    assert {**again, "to": "", "kept": ""} == {**there, "to": "", "kept": ""}
    assert office.in_file(lambda spool: seen(spool, ids), back) == before
    for table in ("message", "body", "recipient", "queue", "attempt", "token", "account", "hour"):
        assert office.store.sql(f"SELECT count(*) FROM {table}") == "0"
    leftovers = {path.name for path in office.directory.glob("back.db*")}
    assert leftovers <= {"back.db", "back.db.lock", "back.db.ballast"}


def test_tokens_in_a_file_of_their_own(office: Office) -> None:
    """Without a key they stand beside the file, and a shared store takes none in clear."""
    key, office.key = office.key, None  # type: ignore[assignment]
    office.in_file(lambda spool: spool.vault.keep(HOST, USER, GRANT))
    office.use(f"sqlite://{office.file}", sealed=False)
    refused = office.move(office.store.url)
    assert refused.exit_code == 2
    assert "secret_key is missing" in refused.stderr
    assert office.in_file(lambda spool: spool.vault.grant(HOST, USER)) == GRANT
    other = office.directory / "other.db"
    assert office.moved(f"sqlite://{other}")["tokens"] == 1
    assert office.in_file(lambda spool: spool.vault.grant(HOST, USER), other) == GRANT
    assert not list(office.directory.glob("spool.db.tokens"))
    office.key = key


def test_a_message_that_was_under_way_is_in_doubt(office: Office) -> None:
    number = office.in_file(lambda spool: accept(spool, "onderweg"))
    office.in_file(lambda spool: spool.queue.claim("isp", 1))  # and nobody settles it
    office.moved(office.store.url)
    shown = office.in_database(lambda spool: spool.queue.show(number))
    assert shown is not None
    assert shown.in_doubt
    assert [each.outcome for each in shown.attempts] == [Outcome.INTERRUPTED]
    (claim,) = office.in_database(lambda spool: spool.queue.claim("isp", 1))
    assert claim.token > 1


def test_mail_of_others_in_the_database_stays(office: Office) -> None:
    theirs = office.in_database(lambda spool: accept(spool, "van hen"))
    office.in_database(
        lambda spool: spool.ledger.adopt(AdoptedDevice("192.168.1.41", "van hen", NOW))
    )
    ids = office.in_file(stock)
    office.moved(office.store.url)
    page = office.in_database(lambda spool: spool.queue.page(None, 100))
    assert {each.id for each in page[1]} == {theirs, *ids[1:]}
    (adopted,) = office.in_database(lambda spool: spool.ledger.adopted())
    assert adopted.name == "van hen"


DYING = """
import os, relay.spool.transfer.{module} as module
cls = module.{cls}
def dies(self, *given):
    return {when}
async def before(self, *given, original=cls.{method}):
    if dies(self, *given):
        os._exit(9)
    return await original(self, *given)
async def after(self, *given, original=cls.{method}):
    result = await original(self, *given)
    if dies(self, *given):
        os._exit(9)
    return result
cls.{method} = {side}
"""


def dying(cls: str, method: str, side: str, when: str = "True") -> str:
    module = "sqlite_end" if cls.startswith("Sqlite") else "postgres_end"
    return DYING.format(module=module, cls=cls, method=method, side=side, when=when)


BETWEEN_RENAMES = """
import os, pathlib
def rename(self, other, original=pathlib.Path.rename):
    original(self, other)
    os._exit(9)
pathlib.Path.rename = rename
"""

INTO_A_DATABASE = {
    "with its id": dying("SqliteSource", "id", "after"),
    "half of the rows": dying("PostgresTarget", "fill", "after", "given[0].name == 'recipient'"),
    "before the commit": dying("PostgresTarget", "publish", "before"),
    "after the commit": dying("PostgresTarget", "publish", "after"),
    "half put aside": BETWEEN_RENAMES,
}
INTO_A_FILE = {
    "half of the rows": dying("SqliteTarget", "fill", "after", "given[0].name == 'recipient'"),
    "with the tokens": dying("SqliteTarget", "keep", "after"),
    "before it has its name": BETWEEN_RENAMES.replace("    original(self, other)\n", ""),
    "with its name": dying("SqliteTarget", "publish", "after"),
}


@pytest.mark.parametrize("moment", INTO_A_DATABASE)
def test_killed_on_the_way_into_a_database(office: Office, moment: str) -> None:
    ids = office.in_file(stock)
    before = office.in_file(lambda spool: seen(spool, ids))
    office.die_moving(office.store.url, INTO_A_DATABASE[moment])
    if office.file.exists():
        assert office.in_file(lambda spool: seen(spool, ids)) == before
    resumed = moment in ("after the commit", "half put aside")
    if moment != "half put aside" or office.file.exists():
        assert office.moved(office.store.url)["resumed"] == resumed
    assert office.in_database(lambda spool: seen(spool, ids)) == before
    assert not office.file.exists()


@pytest.mark.parametrize("moment", INTO_A_FILE)
def test_killed_on_the_way_into_a_file(office: Office, moment: str) -> None:
    ids = office.in_database(stock)
    before = office.in_database(lambda spool: seen(spool, ids))
    office.use(office.store.url)
    office.die_moving(f"sqlite://{office.file}", INTO_A_FILE[moment])
    resumed = moment == "with its name"
    assert office.file.exists() == resumed
    assert office.in_database(lambda spool: seen(spool, ids)) == before
    assert office.moved(f"sqlite://{office.file}")["resumed"] == resumed
    assert office.in_file(lambda spool: seen(spool, ids)) == before
    assert office.store.sql("SELECT count(*) FROM message") == "0"


def test_what_was_used_again_after_it_was_carried_is_not_thrown_away(office: Office) -> None:
    ids = office.in_file(stock)
    office.die_moving(office.store.url, INTO_A_DATABASE["after the commit"])
    new = office.in_file(lambda spool: accept(spool, "nieuw"))
    refused = office.move(office.store.url)
    assert refused.exit_code == 2
    assert "is in both now" in refused.stderr
    assert office.in_file(lambda spool: spool.queue.show(new)) is not None
    page = office.in_database(lambda spool: spool.queue.page(None, 100))
    assert {each.id for each in page[1]} == {*ids[1:]}


def test_what_is_read_back_differently_changes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = office.in_file(stock)
    before = office.in_file(lambda spool: seen(spool, ids))
    keep = PostgresTarget.keep

    async def spoil(target: PostgresTarget, grants: Any) -> None:
        await keep(target, grants)
        await target.connection.execute("UPDATE body SET bytes = bytes || 'x'")

    monkeypatch.setattr(PostgresTarget, "keep", spoil)
    refused = office.move(office.store.url)
    assert refused.exit_code == 2
    assert "nothing was changed" in refused.stderr
    assert office.in_file(lambda spool: seen(spool, ids)) == before
    assert office.in_database(lambda spool: spool.queue.page(None, 100)) == (0, ())


def test_a_spool_in_use_is_not_moved(office: Office) -> None:
    office.in_file(lambda spool: accept(spool, "x"))
    lock = SpoolLock(Path(f"{office.file}.lock"))
    lock.acquire()
    refused = office.move(office.store.url)
    assert refused.exit_code == 2
    assert f"held by process {os.getpid()}" in refused.stderr
    lock.release()
    office.use(office.store.url)
    vitals = Vitals("1", "x", NOW)
    office.in_database(lambda spool: spool.nodes.beat(vitals))
    refused = office.move(f"sqlite://{office.directory}/other.db")
    assert refused.exit_code == 2
    assert "the spool is in use by " in refused.stderr
    office.store.sql("DELETE FROM node")
    office.in_database(lambda spool: accept(spool, "y"))
    office.in_database(lambda spool: spool.queue.claim("isp", 1))  # its lease has not run out
    refused = office.move(f"sqlite://{office.directory}/other.db")
    assert "the spool is in use by " in refused.stderr
    assert not (office.directory / "other.db").exists()


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("sqlite://{file}", "is the spool in use now"),
        ("sqlite://{directory}/there.db", "is there already"),
        ("mysql://x", "is no spool"),
        ("postgresql://relay:pw@127.0.0.1/x", "password"),
        ("postgresql://relay@127.0.0.1:1/x", "127.0.0.1:1/x cannot be used: PostgreSQL"),
    ],
)
def test_a_target_that_cannot_be(office: Office, to: str, told: str) -> None:
    office.in_file(lambda spool: accept(spool, "x"))
    (office.directory / "there.db").write_bytes(b"")
    refused = office.move(to.format(file=office.file, directory=office.directory))
    assert refused.exit_code == 2, refused
    assert told in refused.stderr
    assert office.in_file(lambda spool: spool.queue.page(None, 10))[0] == 1


def test_mail_that_waits_leaves_once_from_wherever_it_is(
    tmp_path: Path, postgres_store: PostgresStore
) -> None:
    """By the service itself: accepted on a file, carried, sent from PostgreSQL, carried back."""
    with Smarthost(Behaviour({"DOT": "451 4.3.0 later"})) as busy, Smarthost() as open_again:
        smarthost = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {}\ntls = "none"\n'
        relay = RelayProcess(tmp_path, smarthost.format(busy.port))
        with relay:
            relay.send("info@mijnbakkerij.nl", ["klant@example.net"], b"Subject: x\r\n\r\nx\r\n")
            relay.wait_for_event("deferred")
            refused = relay.run("spool", "move", "--to", postgres_store.url)
            assert (refused.code, "stop that first" in refused.err) == (2, True)
            assert relay.sigterm() == 0
            assert relay.run("spool", "move", "--to", postgres_store.url).code == 0
            relay.spool_url = postgres_store.url
            relay.tables = smarthost.format(open_again.port)
            relay.start()
            (message,) = relay.queue()
            relay.retry_all()
            open_again.wait_for(1)
            relay.wait_until(lambda: relay.queue() == [])
            refused = relay.run("spool", "move", "--to", f"sqlite://{tmp_path}/back.db")
            assert (refused.code, "the spool is in use by" in refused.err) == (2, True)
            assert relay.sigterm() == 0
            assert relay.run("spool", "move", "--to", f"sqlite://{tmp_path}/back.db").code == 0
            relay.spool_url = f"sqlite://{tmp_path}/back.db"
            relay.start()
            shown = relay.run("queue", "show", message["id"], "--json").json
            attempts = shown.get("message", shown)["attempts"]
            assert [each["outcome"] for each in attempts] == ["deferred", "delivered"]
            assert relay.queue() == []
            assert relay.sigterm() == 0
    assert len(open_again.accepted) == 1
