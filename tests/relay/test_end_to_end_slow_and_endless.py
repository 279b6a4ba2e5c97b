"""Clients that drip, and one that never ends its line, on a running relay."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.prepared_relay import PreparedRelay, patience
from fakes.raw_client import RawClient
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

SENDER, RECIPIENT = "info@mijnbakkerij.nl", "klant@example.net"


@pytest.fixture
def smarthost() -> Iterator[Smarthost]:
    with Smarthost() as smarthost:
        yield smarthost


def made(directory: Path, smarthost: Smarthost, preparation: tuple[str, ...] = ()) -> PreparedRelay:
    plain = (
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
    )
    relay = PreparedRelay(directory, plain)
    relay.preparation = preparation
    return relay


def begun(relay: RelayProcess) -> RawClient:
    """A session to which the relay has said 354."""
    peer = relay.connect()
    peer.reply()
    peer.command("HELO kassa")
    for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>"):
        assert peer.command(command).startswith("250")
    assert peer.command("DATA").startswith("354")
    return peer


def drip(peer: RawClient, piece: bytes, seconds: float, end: float) -> None:
    """Sends a piece again and again until `end`, or until the relay has had enough."""
    while time.monotonic() < end:
        try:
            peer.send(piece)
        except OSError:
            return
        time.sleep(seconds)  # noqa: TID251 - a client that takes its time


def test_who_drips_is_cut_off_who_is_only_slow_is_not_and_nobody_waits_for_either(
    tmp_path: Path, smarthost: Smarthost
) -> None:
    impatient = patience(
        command_seconds=1.5, data_idle_seconds=1, slow_start_seconds=1, least_bytes_per_second=200
    )
    with made(tmp_path, smarthost, impatient) as relay:
        end = time.monotonic() + 3
        in_data = [begun(relay) for _ in range(20)]
        in_command = [relay.connect() for _ in range(10)]
        steady = begun(relay)
        drips = [(peer, b"x", 0.1) for peer in in_data + in_command]
        threads = [
            threading.Thread(target=drip, args=(*how, end))
            for how in [*drips, (steady, b"y" * 98 + b"\r\n", 0.05)]
        ]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        relay.send(SENDER, [RECIPIENT], b"Subject: quick\r\n\r\nx\r\n")
        (quick,) = smarthost.wait_for(1)
        assert time.monotonic() - began < 2
        assert b"Subject: quick" in quick.content
        for thread in threads:
            thread.join()
        for peer in in_data:
            assert peer.reply()[:9] in ("421 4.4.2", "")  # a reset may overtake it
        assert {peer.reply()[:4] for peer in in_command} == {"220 "}
        assert {peer.reply() for peer in in_command} <= {"421 4.4.2 waited too long", ""}
        # Slow, and three times as long as any silence may last.
        steady.send(b".\r\n")
        assert steady.reply().startswith("250 2.0.0")
        for peer in [*in_data, *in_command, steady]:
            peer.close()
        smarthost.wait_for(2)
        assert relay.queue() == []
        assert len(relay.log_events("accepted")) == 2
        told = [event["reply"] for event in relay.wait_for_event("refused", len(in_data))]
        assert all(reply.startswith("421 4.4.2 ") for reply in told)


@pytest.mark.parametrize("head", [b"", b"Subject: x\r\n\r\n"], ids=["in the header", "in the body"])
def test_a_line_of_two_hundred_megabytes(tmp_path: Path, smarthost: Smarthost, head: bytes) -> None:
    with made(tmp_path, smarthost) as relay:
        relay.send(SENDER, [RECIPIENT], b"Subject: first\r\n\r\n" + b"x" * 2_000_000)
        smarthost.wait_for(1)
        before, most, sent = relay.memory_bytes(), 0, 0
        with begun(relay) as peer:
            try:
                peer.send(head)
                for _ in range(200):
                    peer.send(b"x" * 1_000_000)
                    sent += 1_000_000
                    most = max(most, relay.memory_bytes())
            except OSError:
                pass
            replies = [peer.reply()[:9], peer.reply()[:9]]
        assert replies in (["552 5.3.4", "421 4.7.0"], ["", ""])  # a reset may overtake them
        assert sent < 120_000_000, "cut off at twice the limit"
        assert most - before < 20_000_000
        relay.send(SENDER, [RECIPIENT], b"Subject: next\r\n\r\nx\r\n")
        smarthost.wait_for(2)
        assert relay.queue() == []
        assert len(relay.log_events("accepted")) == 2
        (refused,) = relay.log_events("refused")
        assert refused["reply"].startswith("552 5.3.4 ")
        print({"sent_bytes": sent, "growth_bytes": most - before})
