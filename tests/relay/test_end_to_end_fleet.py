"""Several `relay serve` with one PostgreSQL, as an IT service provider runs them."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.peers import needs
from fakes.relay_process import RelayProcess
from fakes.script import Action, Command
from fakes.smarthost import Behaviour, Smarthost
from fakes.stores import PostgresStore

pytestmark = needs("postgres")

MAIL = b"From: <info@bakkerij.nl>\r\nSubject: factuur\r\n\r\nHallo.\r\n"
Start = Callable[..., RelayProcess]


@pytest.fixture
def start(
    tmp_path: Path, postgres_store: PostgresStore, authority: Authority
) -> Iterator[Callable[..., RelayProcess]]:
    """Start a node. All have the same relay.toml but for the ports that they listen on."""
    shared = tmp_path / "shared"
    shared.mkdir()
    with ExitStack() as stack:

        def begin(name: str, fake: Smarthost, more: str = "", tables: str = "") -> RelayProcess:
            directory = tmp_path / name
            directory.mkdir()
            node = RelayProcess(directory, tables)
            node.spool_url = postgres_store.url
            secret = shared / "isp.secret"
            if not secret.exists():
                shutil.copy(node.secret("isp", "geheim"), secret)
                secret.chmod(0o600)
            node.tables += f"""
[[smarthost]]
name = "isp"
host = "127.0.0.1"
port = {fake.port}
tls = "starttls"
ca_file = "{authority.ca_file}"
auth = "password"
username = "bakker"
password = {{ file = "{secret}" }}
{more}
"""
            return stack.enter_context(node)

        yield begin


def behaviour(authority: Authority, **keys: Any) -> Behaviour:
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, users={"bakker": "geheim"}, **keys)


def send(node: RelayProcess, count: int, name: str) -> None:
    for number in range(count):
        node.send("info@bakkerij.nl", [f"{name}{number}@example.net"], MAIL)


def status(node: RelayProcess) -> dict[str, Any]:
    found: dict[str, Any] = node.run("status", "--json").json
    return found


def living(node: RelayProcess) -> list[dict[str, Any]]:
    return [each for each in status(node)["nodes"] if not each["gone"]]


def test_two_nodes_share_queue_and_limits(
    start: Start, postgres_store: PostgresStore, authority: Authority
) -> None:
    with Smarthost(behaviour(authority)) as fake:
        more = "max_connections = 2\nmessages_per_minute = 200"
        one, other = (start(name, fake, more) for name in ("one", "other"))
        send(one, 6, "a")
        send(other, 6, "b")
        fake.wait_for(12, 60)
        sent = [path.address for each in fake.accepted for path in each.recipients]
        assert sorted(sent) == sorted(f"{name}{n}@example.net" for name in "ab" for n in range(6))
        assert fake.most_connections <= 2
        assert postgres_store.sql("SELECT count(DISTINCT node) FROM slot") <= "2"

        nodes = living(one)
        assert len(nodes) == 2
        assert [each["differs"] for each in nodes] == [False, False]
        assert sum(each["here"] for each in nodes) == 1
        assert sum(each["messages_per_minute"] for each in nodes) <= 12
        shown = other.run("status").out
        assert "messages a minute" in shown

        # An account paused on one stands still on the other, until that one resumes it.
        assert one.run("account", "pause", "bakker").code == 0
        send(other, 2, "c")
        assert other.run("account", "resume", "bakker").code == 0
        fake.wait_for(14, 60)

        # A device that one allows the other lets in.
        assert one.run("client", "allow", "127.0.0.9").code == 0

        def allowed() -> bool:
            found = other.run("why", "127.0.0.9", "info@bakkerij.nl", "--json")
            return found.code == 0 and "127.0.0.9" in found.out

        other.wait_until(allowed)
        other.send("info@bakkerij.nl", ["d@example.net"], MAIL, source="127.0.0.9")
        fake.wait_for(15, 60)

        # In good order: the other one sees it at once.
        assert other.sigterm() == 0
        assert len(living(one)) == 1


def test_a_node_that_is_killed_gives_its_connection_back(
    start: Start, postgres_store: PostgresStore, authority: Authority
) -> None:
    """By the server's clock, which the test puts forward for the dead one alone."""

    release = threading.Event()

    def stall(command: Command) -> Action | None:
        return Action(wait_for=release, drop="before") if command.nth == 1 else None

    with Smarthost(behaviour(authority, script={"DOT": stall})) as fake:
        one = start("one", fake, "max_connections = 1")
        send(one, 1, "stuck")
        fake.wait_until(lambda: fake.open_connections == 1, 60)
        taken = "SELECT count(*) FROM queue WHERE lease_owner IS NOT NULL"
        one.wait_until(lambda: postgres_store.sql(taken) == "1")
        other = start("other", fake, "max_connections = 1")
        send(other, 2, "next")
        dead = next(each["id"] for each in living(other) if not each["here"])
        assert postgres_store.sql(f"SELECT sum(connections) FROM slot WHERE node = '{dead}'") == "1"
        one.kill9()
        release.set()
        fake.wait_until(lambda: fake.open_connections == 0)
        assert len(fake.accepted) == 0
        postgres_store.sql(
            f"UPDATE node SET seen_at = seen_at - interval '30 seconds' WHERE id = '{dead}';"
            f" UPDATE queue SET lease_until = lease_until - 30000000 WHERE lease_owner = '{dead}'"
        )
        fake.wait_for(3, 90)
        assert fake.most_connections == 1
        found = {each["id"]: each["gone"] for each in status(other)["nodes"]}
        assert found[dead] is True


def test_a_node_with_another_configuration_is_told(start: Start, authority: Authority) -> None:
    with Smarthost(behaviour(authority)) as fake:
        one = start("one", fake)
        other = start("other", fake, "max_connections = 3")
        found = status(one)
        assert found["verdict"] == "fail"
        assert [each["id"] for each in found["problems"]] == ["nodes-differ"]
        assert [each["differs"] for each in found["nodes"]] == [False, True]
        told = one.run("status")
        assert told.code == 1
        assert "relay.toml" in told.out

        one.tables = other.tables
        one.hup()
        one.wait_until(lambda: not status(one)["problems"], 60)
