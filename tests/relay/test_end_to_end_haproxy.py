"""Behind Debian's HAProxy: the README's own example, its health checks, and a relay that ends."""

import http.client
import re
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.haproxy import Haproxy
from fakes.peers import needs
from fakes.ports import free_port
from fakes.prepared_relay import WITHOUT_UVLOOP, PreparedRelay
from fakes.raw_client import RawClient
from fakes.smarthost import Smarthost

import relay

pytestmark = needs("haproxy")

README = Path(relay.__file__).parent / "README.md"
BALANCER, KASSA, STRANGER = "127.0.0.9", "127.0.0.2", "127.0.0.3"
HOST = "relay.mijnbakkerij.lan"
CONTENT = b"Subject: factuur\r\n\r\nHierbij.\r\n"
HTTP_CHECK = re.compile(r"    option httpchk\n(    http-check .*\n)+")


def block(language: str) -> str:
    """The code in the README's section about load balancers."""
    _, _, section = README.read_text(encoding="utf-8").partition("\n## Behind a load balancer\n")
    found = re.search(rf"```{language}\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    assert found is not None
    return found[1]


def example(front: int, *relays: PreparedRelay) -> str:
    """The README's configuration with the ports of this test, and an address for HAProxy."""
    text = block("haproxy").replace("bind :25", f"bind 127.0.0.1:{front}")
    text = text.replace("default-server ", f"default-server source {BALANCER} ")
    text = text.replace("inter 2s", "inter 200ms")
    lines = [line for line in text.splitlines() if not line.startswith("    server ")]
    assert text.count("    server ") == 2
    for number, each in enumerate(relays, start=1):
        lines.append(f"    server relay{number} {each.host}:{each.port} port {each.web_port}")
    return "\n".join(lines) + "\n"


def checked_by_smtp(configuration: str, header: str) -> str:
    """The README's other way to check, and a version of the header."""
    text, found = HTTP_CHECK.subn(
        "    option smtpchk EHLO balancer.mijnbakkerij.lan\n", configuration
    )
    assert found == 1
    return re.sub(r" port \d+", "", text).replace("send-proxy-v2", header)


def prepared(directory: Path, smarthost: Smarthost, listener: str = "") -> PreparedRelay:
    directory.mkdir()
    tables = f"""hosts = ["{HOST}"]
[[client]]
name = "kassa"
networks = ["{KASSA}"]
[[smarthost]]
name = "isp"
host = "127.0.0.1"
port = {smarthost.port}
tls = "none"
"""
    made = PreparedRelay(directory, tables, listener=f'proxy_protocol = ["{BALANCER}"]\n{listener}')
    made.preparation = ("import relay.service", "relay.service.STOP_SECONDS = 60.0")
    return made


@pytest.fixture
def smarthost() -> Iterator[Smarthost]:
    with Smarthost() as smarthost:
        yield smarthost


def begin_data(front: int) -> RawClient:
    peer = RawClient("127.0.0.1", front, KASSA)
    assert peer.reply().startswith("220")
    for command in ("HELO kassa", "MAIL FROM:<a@mijnbakkerij.nl>", "RCPT TO:<b@example.net>"):
        assert peer.command(command).startswith("250")
    assert peer.command("DATA").startswith("354")
    return peer


def answer(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    found = response.status, response.read().decode()
    connection.close()
    return found


def test_the_readme_names_the_key_that_its_example_needs() -> None:
    (listener,) = tomllib.loads(block("toml"))["listener"]
    assert listener["proxy_protocol"]


def test_the_readmes_example_before_two_relays_of_which_one_ends(
    tmp_path: Path, smarthost: Smarthost
) -> None:
    relays = [prepared(tmp_path / name, smarthost) for name in ("first", "second")]
    front = free_port()
    with ExitStack() as running:
        for each in relays:
            running.enter_context(each)
        haproxy = running.enter_context(Haproxy(example(front, *relays), tmp_path))
        assert haproxy.checked()[0] == 0, haproxy.checked()
        haproxy.wait_until(
            lambda: all(each["status"] == "UP" for each in haproxy.servers().values())
        )
        assert {each["check_status"] for each in haproxy.servers().values()} == {"L7OK"}
        # Who is listed sends, through either; who is not hears his own address.
        for _ in range(4):
            with begin_data(front) as peer:
                peer.send(CONTENT + b".\r\n")
                assert peer.reply().startswith("250 2.0.0")
        accepted = [each.wait_for_event("accepted", 2) for each in relays]
        assert {event["address"] for events in accepted for event in events} == {KASSA}
        with RawClient("127.0.0.1", front, STRANGER) as peer:
            assert peer.reply().startswith(f"554 5.7.1 {STRANGER} is not listed")
        # The one of the two with an open DATA is told to end.
        with begin_data(front) as sending:
            haproxy.wait_until(lambda: len(haproxy.busy()) == 1)
            (at,) = haproxy.busy()
            ending = relays[int(at[-1]) - 1]
            ending.send_sigterm()
            ending.wait_until(lambda: answer(ending.web_port, "/readyz")[0] == 503)
            assert answer(ending.web_port, "/healthz") == (200, "ok\n")
            assert not ending.listens()
            haproxy.wait_until(lambda: haproxy.status(at).startswith("DOWN"))
            for _ in range(3):
                with begin_data(front) as peer:
                    peer.send(CONTENT + b".\r\n")
                    assert peer.reply().startswith("250 2.0.0")
            sending.send(CONTENT + b".\r\n")
            assert sending.reply().startswith("250 2.0.0")
        assert ending.wait_for_exit() == 0
        smarthost.wait_for(7)
        # What came in at the very end waits for whoever has this spool next.
        assert len(ending.queue()) + len(smarthost.accepted) == 8


@pytest.mark.parametrize("header", ["send-proxy", "send-proxy-v2"])
def test_a_check_by_smtp_and_each_version(
    tmp_path: Path, smarthost: Smarthost, header: str
) -> None:
    front = free_port()
    with prepared(tmp_path / "relay", smarthost) as relay:
        configuration = checked_by_smtp(example(front, relay), header)
        with Haproxy(configuration, tmp_path) as haproxy:
            assert haproxy.checked()[0] == 0, haproxy.checked()
            haproxy.wait_until(lambda: haproxy.status("relay1") == "UP")
            haproxy.wait_until(lambda: haproxy.servers()["relay1"]["check_status"] == "L7OK")
            with begin_data(front) as peer:
                peer.send(CONTENT + b".\r\n")
                assert peer.reply().startswith("250 2.0.0")
            with RawClient("127.0.0.1", front, STRANGER) as peer:
                assert peer.reply().startswith(f"554 5.7.1 {STRANGER} is not listed")
            # Not by way of the balancer a header is nothing, and the balancer itself no client.
            with relay.connect(STRANGER) as peer:
                peer.send(f"PROXY TCP4 {KASSA} {KASSA} 1 2\r\n".encode())
                assert peer.reply().startswith(f"554 5.7.1 {STRANGER} ")
            refused = {event["address"] for event in relay.log_events("refused")}
            assert BALANCER not in refused
            (accepted,) = relay.wait_for_event("accepted")
            assert accepted["address"] == KASSA
            relay.kill9()
            haproxy.wait_until(lambda: haproxy.status("relay1").startswith("DOWN"))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_implicit_tls_behind_a_balancer(
    tmp_path: Path, smarthost: Smarthost, authority: Authority, loop: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    pair, front, port = authority.issue(), free_port(), free_port()
    relay = prepared(tmp_path / "relay", smarthost)
    relay.preparation = () if loop == "uvloop" else WITHOUT_UVLOOP
    relay.tables += f"""
[[listener]]
address = "127.0.0.1:{port}"
tls = "implicit"
certificate = "{pair.chain}"
key = "{pair.key}"
proxy_protocol = ["{BALANCER}"]
"""
    with relay, Haproxy(example(front, relay).replace(f":{relay.port} ", f":{port} "), tmp_path):
        with RawClient("127.0.0.1", front, KASSA) as peer:
            peer.start_tls(authority.client_context())
            assert peer.reply().startswith("220")
            for command in ("EHLO kassa", "MAIL FROM:<a@mijnbakkerij.nl>", "RCPT TO:<b@a.nl>"):
                assert peer.command(command).startswith("250")
            assert peer.message(CONTENT).startswith("250 2.0.0")
        with RawClient("127.0.0.1", front, STRANGER) as peer:
            peer.start_tls(authority.client_context())
            assert peer.reply().startswith(f"554 5.7.1 {STRANGER} is not listed")
        (accepted,) = relay.wait_for_event("accepted")
        assert accepted["address"] == KASSA
        assert b"with ESMTPS" in smarthost.wait_for(1)[0].content
