"""The running relay calls for help: the login is refused, and somebody hears of it another way."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from fakes.webhook import WebhookServer

SENDER, CUSTOMER = "info@mijnbakkerij.nl", "klant@example.net"
COLLECT = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


def collected(place: Path) -> list[dict[str, Any]]:
    """The alarms that the command of `tables` wrote down."""
    if not place.exists():
        return []
    return [json.loads(line) for line in place.read_text().splitlines()]


def tables(place: Path, webhook: WebhookServer) -> str:
    """A command and a webhook, and mail by the second smarthost."""
    argv = json.dumps([sys.executable, "-c", COLLECT, str(place)])
    return f"""
[[alarm]]
command = {argv}

[[alarm]]
webhook = "{webhook.url}"

[[alarm]]
mail_to = "beheer@mijnbakkerij.nl"
smarthost = "reserve"
"""


def metrics_of(relay: RelayProcess) -> bytes:
    """What Prometheus would get."""
    with urlopen(f"http://127.0.0.1:{relay.web_port}/metrics", timeout=10) as answer:
        content: bytes = answer.read()
    return content


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server(authority: Authority, password: str) -> Smarthost:
    context = authority.issue().server_context()
    return Smarthost(Behaviour(tls="starttls", context=context, users={"bakker": password}))


def test_a_refused_login_reaches_somebody_by_every_path_and_once(
    tmp_path: Path, authority: Authority
) -> None:
    place = tmp_path / "alarms"
    relay = RelayProcess(tmp_path)
    with (
        server(authority, "anders") as first,
        server(authority, "geheim") as second,
        WebhookServer() as webhook,
    ):
        relay.add_smarthost(first.port, authority.ca_file)
        # An account of its own: the same login at the same host is the same account.
        second.behaviour.users = {"reserve": "geheim"}
        relay.add_smarthost(second.port, authority.ca_file, name="reserve", username="reserve")
        relay.tables += tables(place, webhook)
        relay.tables += '\n[[route]]\nsmarthost = ["isp"]\n'
        with relay:
            relay.send(SENDER, [CUSTOMER], invoice(SENDER, [CUSTOMER]))
            relay.wait_until(lambda: len(collected(place)) == 1 and bool(second.accepted))
            relay.wait_until(lambda: len(webhook.received) == 1)
            (alarm,) = collected(place)
            assert (alarm["stage"], alarm["kind"]) == ("raised", "account-paused")
            assert alarm == webhook.received[0]
            assert first.accepted == [], "the mail itself waits"
            (letter,) = second.accepted
            assert [each.address for each in letter.recipients] == ["beheer@mijnbakkerij.nl"]
            assert b"Subject: " in letter.content

            metrics = metrics_of(relay)
            assert b'relay_alarms{kind="account-paused"} 1.0' in metrics
            assert b'relay_messages_accepted_total{client="local"} 1.0' in metrics
            assert b'relay_account_paused{smarthost="isp"} 1.0' in metrics
            with urlopen(f"http://127.0.0.1:{relay.web_port}/readyz", timeout=10) as ready:
                assert ready.read() == b"ready\n", "mail is taken all the same"

            relay.restart()
            relay.wait_until(
                lambda: b'relay_alarms{kind="account-paused"} 1.0' in metrics_of(relay)
            )
            tested = relay.run("alarm", "test", "--json")
            assert tested.code == 0, tested
            assert [each["told"] for each in tested.json["ways"]] == [True, True, True]
            stages = [each["stage"] for each in collected(place)]
            assert stages == ["raised", "test"], "a restart repeats nothing"


def test_a_test_tells_which_way_fails_with_the_relay_stopped_too(
    tmp_path: Path, authority: Authority
) -> None:
    relay = RelayProcess(tmp_path)
    with server(authority, "geheim") as smarthost, WebhookServer() as webhook:
        webhook.status = 500
        relay.add_smarthost(smarthost.port, authority.ca_file)
        place = tmp_path / "alarms"
        relay.tables += tables(place, webhook).replace('smarthost = "reserve"', "")
        with relay:
            running = relay.run("alarm", "test")
        stopped = relay.run("alarm", "test")
        for done in (running, stopped):
            assert done.code == 1, done
            assert "HTTP 500" in done.out
            assert "sent; see whether it came" in done.out
            assert "geheim" not in done.out + done.err
        assert len(collected(place)) == len(smarthost.accepted) == 2


def test_without_a_way_a_test_says_so(tmp_path: Path, authority: Authority) -> None:
    relay = RelayProcess(tmp_path)
    with server(authority, "geheim") as smarthost:
        relay.add_smarthost(smarthost.port, authority.ca_file)
        with relay:
            done = relay.run("alarm", "test")
    assert done.code == 1
    assert "[[alarm]]" in done.err
