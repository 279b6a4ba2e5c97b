"""More connections than there may be: who is inside goes on, who comes hears why."""

import contextlib
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.prepared_relay import WITHOUT_UVLOOP, PreparedRelay, open_files
from fakes.raw_client import RawClient
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
CLIENTS = """
[[client]]
name = "kassa"
networks = ["127.0.0.1"]
max_connections = 1000

[[client]]
name = "kantoor"
networks = ["127.0.0.2", "127.0.0.3"]
max_connections = 5
"""


@pytest.fixture
def smarthost() -> Iterator[Smarthost]:
    with Smarthost() as smarthost:
        yield smarthost


def plain(smarthost: Smarthost) -> str:
    return f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'


def healthy(relay: RelayProcess) -> bool:
    address = f"http://127.0.0.1:{relay.web_port}/healthz"
    with urllib.request.urlopen(address, timeout=5) as answer:
        return bool(answer.status == 200)


def crowd(
    inside: contextlib.ExitStack, relay: RelayProcess, count: int, source: str | None = None
) -> tuple[list[RawClient], set[str]]:
    """Connects this often; who got in and stays, and what the others were told."""
    came = [inside.enter_context(relay.connect(source)) for _ in range(count)]
    greeted, told = [], set()
    for each in came:
        reply = each.reply()
        if reply.startswith("220"):
            greeted.append(each)
        else:
            told.add(reply)
            each.close()
    return greeted, told


def test_three_hundred_connections_at_once(tmp_path: Path, smarthost: Smarthost) -> None:
    limit = "max_connections = 200"
    relay = RelayProcess(tmp_path, CLIENTS + plain(smarthost), listener=limit)
    with relay, contextlib.ExitStack() as inside:
        first = inside.enter_context(relay.connect())
        assert first.reply().startswith("220")
        office, told = crowd(inside, relay, 8, "127.0.0.2")
        assert len(office) == 5
        assert told == {"421 4.7.0 127.0.0.2 has too many connections open"}
        with relay.connect("127.0.0.3") as another:  # the limit is the client's, not the machine's
            assert another.reply() == "421 4.7.0 127.0.0.3 has too many connections open"
        greeted, told = crowd(inside, relay, 300)
        assert len(greeted) == 200 - 6
        assert told == {"421 4.3.2 too busy, try again in a moment"}
        # Those inside go on, mail leaves, and the page answers.
        assert first.command("HELO kassa").startswith("250")
        first.command(f"MAIL FROM:<{SENDER}>")
        first.command("RCPT TO:<klant@example.net>")
        assert first.message(b"Subject: x\r\n\r\nx\r\n").startswith("250")
        smarthost.wait_for(1)
        assert healthy(relay)
        greeted.pop().close()
        relay.wait_until(lambda: greets(relay))


def greets(relay: RelayProcess) -> bool:
    with relay.connect() as client:
        return client.reply().startswith("220")


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_too_few_open_files_are_allowed(tmp_path: Path, smarthost: Smarthost, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    relay = PreparedRelay(tmp_path, CLIENTS + plain(smarthost))
    relay.preparation = open_files(80) + (() if loop == "uvloop" else WITHOUT_UVLOOP)
    with relay, contextlib.ExitStack() as inside:
        greeted, told = crowd(inside, relay, 150)
        assert len(greeted) >= 20
        # The usual loop answers all; uvloop hangs up on a burst that exceeds the files.
        assert told <= {"421 4.3.2 too busy, try again in a moment", ""}
        assert loop == "uvloop" or "" not in told
        # Delivery, the spool and the page have their files.
        assert greeted[0].command("HELO kassa").startswith("250")
        greeted[0].command(f"MAIL FROM:<{SENDER}>")
        greeted[0].command("RCPT TO:<klant@example.net>")
        assert greeted[0].message(b"Subject: x\r\n\r\nx\r\n").startswith("250")
        smarthost.wait_for(1)
        assert healthy(relay)
        # It waits without working, though more ask to come in.
        waiting = [inside.enter_context(relay.connect()) for _ in range(20)]
        used, began = relay.cpu_seconds(), time.monotonic()
        time.sleep(1)  # noqa: TID251 - a stretch of idleness to look at
        assert relay.cpu_seconds() - used < 0.3
        assert time.monotonic() - began < 5
        for each in [*greeted[5:], *waiting]:
            each.close()
        began = time.monotonic()
        relay.wait_until(lambda: greets(relay))
        assert time.monotonic() - began < 2
        lines = relay.stderr.splitlines()
    assert [line for line in lines if "Traceback" in line or "system resource" in line] == []
    assert len(relay.log_events("refused")) < 20, "a line a second"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_silent_strangers_on_a_port_with_tls_from_the_start(
    tmp_path: Path, smarthost: Smarthost, authority: Authority, loop: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    pair = authority.issue()
    tls = f'tls = "implicit"\ncertificate = "{pair.chain}"\nkey = "{pair.key}"'
    relay = TlsRelay(tmp_path, CLIENTS + plain(smarthost), listener=tls)
    relay.preparation = open_files(80) + (() if loop == "uvloop" else WITHOUT_UVLOOP)
    with relay, contextlib.ExitStack() as inside:
        for _ in range(150):
            inside.enter_context(relay.connect("127.0.0.9"))
        began = time.monotonic()
        with relay.connect() as client:
            client.start_tls(authority.client_context())
            assert client.reply().startswith("220")
            client.command("HELO kassa")
            client.command(f"MAIL FROM:<{SENDER}>")
            client.command("RCPT TO:<klant@example.net>")
            assert client.message(b"Subject: x\r\n\r\nx\r\n").startswith("250")
        smarthost.wait_for(1)
        assert healthy(relay)
        assert time.monotonic() - began < 2
        assert "system resource" not in relay.stderr


class TlsRelay(PreparedRelay):
    """A relay that greets only after a TLS handshake."""

    def _greets(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or bool(self.log_events("started"))
