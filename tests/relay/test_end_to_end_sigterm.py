"""SIGTERM in the midst of everything: open sessions, messages coming in, messages leaving."""

import threading
from pathlib import Path

from fakes.prepared_relay import PreparedRelay
from fakes.raw_client import RawClient
from fakes.script import Action, Behaviour, Command
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
STOPPING = "421 4.3.2 the relay is stopping, try again soon"
STOP_SECONDS = 2


def content(name: str) -> bytes:
    return f"From: {SENDER}\r\nSubject: {name}\r\n\r\n{name}\r\n".encode()


def in_data(relay: PreparedRelay, name: str) -> RawClient:
    peer = relay.connect()
    peer.reply()
    peer.command("HELO kassa")
    peer.command(f"MAIL FROM:<{SENDER}>")
    peer.command(f"RCPT TO:<{name}@example.net>")
    assert peer.command("DATA").startswith("354")
    peer.send(content(name))
    return peer


def test_what_can_end_ends_the_rest_is_kept_and_nobody_new_comes_in(tmp_path: Path) -> None:
    answered, never = threading.Event(), threading.Event()

    def dot(command: Command) -> Action | None:
        return {1: Action(wait_for=answered), 2: Action(wait_for=never)}.get(command.nth)

    with Smarthost(Behaviour({"DOT": dot})) as smarthost:
        plain = f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
        relay = PreparedRelay(tmp_path, plain)
        relay.preparation = ("import relay.service", f"relay.service.STOP_SECONDS = {STOP_SECONDS}")
        with relay:
            relay.send(SENDER, ["answered@example.net"], content("answered"))
            smarthost.wait_until(lambda: len(smarthost.received) == 1)
            relay.send(SENDER, ["stalled@example.net"], content("stalled"))
            smarthost.wait_until(lambda: len(smarthost.received) == 2)
            idle = [relay.connect() for _ in range(3)]
            assert all(peer.reply().startswith("220") for peer in idle)
            ends, drags = in_data(relay, "ends"), in_data(relay, "drags")
            relay.send_sigterm()
            assert {peer.reply() for peer in idle} == {STOPPING}
            assert not relay.listens()
            # A message that is coming in may end, and so may one that is leaving.
            ends.send(b".\r\n")
            promise = ends.reply()
            assert promise.startswith("250 2.0.0 ")
            assert ends.reply() == STOPPING
            answered.set()
            assert relay.wait_for_exit(STOP_SECONDS + 5) == 0
            assert drags.rest() == b""
            for peer in (*idle, ends, drags):
                peer.close()
            (delivered,) = relay.log_events("delivered")
            assert delivered["recipients"] == ["answered@example.net"]
            relay.start()
            # Everything that was promised is there: nothing twice but what is in doubt.
            arrived = smarthost.wait_for(3)
            relay.wait_until(lambda: relay.queue() == [])
            names = sorted(path.address for each in arrived for path in each.recipients)
            assert names == [f"{name}@example.net" for name in ("answered", "ends", "stalled")]
            (stalled,) = [
                one
                for one in relay.run("queue", "list", "--json", "--state", "delivered").json[
                    "messages"
                ]
                if one["recipients"][0]["address"] == "stalled@example.net"
            ]
            assert stalled["in_doubt"]


def test_a_second_sigterm_changes_nothing(tmp_path: Path) -> None:
    plain = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 1\ntls = "none"'
    with PreparedRelay(tmp_path, plain) as relay:
        peer = in_data(relay, "ends")
        relay.send_sigterm()
        relay.wait_until(lambda: not relay.listens())
        relay.send_sigterm()
        peer.send(b".\r\n")
        assert peer.reply().startswith("250 2.0.0 ")
        peer.close()
        assert relay.wait_for_exit() == 0
