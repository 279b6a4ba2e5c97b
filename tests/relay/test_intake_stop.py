"""The listener's end: idle sessions are told, a message that is coming in may finish."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest
from fakes.listening import MESSAGE, NOON, Listening, client
from fakes.raw_client import stuffed

from relay.config.model import Config, Listener, Spool
from relay.control.errors import CannotListen
from relay.intake import listener as listener_module
from relay.intake.context import Intake
from relay.intake.door import Door
from relay.intake.listener import Listeners

STOPPING = "421 4.3.2 the relay is stopping, try again soon"


def stop(listening: Listening, seconds: float = 10) -> "asyncio.Future[None]":
    future = asyncio.run_coroutine_threadsafe(listening.listeners.stop(seconds), listening._loop)
    listening.until(lambda: listening.intake.stopping)
    return asyncio.wrap_future(future, loop=listening._loop)


def test_idle_sessions_are_told_and_new_ones_are_refused(tmp_path: Path) -> None:
    with (
        Listening(tmp_path, client()) as listening,
        listening.greeted() as idle,
        listening.greeted() as begun,
    ):
        begun.mail()
        place = (listening.host, listening.port)
        listening.run(listening.listeners.stop(10))
        for peer in (idle, begun):
            assert peer.reply() == STOPPING
            assert peer.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place, 5)


def test_a_message_that_is_coming_in_may_finish(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        with listening.greeted() as peer:
            peer.mail()
            assert peer.command("DATA").startswith("354")
            peer.send(MESSAGE[:50])
            ended = stop(listening)
            peer.send(stuffed(MESSAGE)[50:])
            # The next message would be too much.
            peer.send(b"MAIL FROM:<a@example.nl>\r\nRCPT TO:<a@example.nl>\r\nDATA\r\n")
            assert peer.reply().startswith("250 2.0.0")
            assert peer.reply() == STOPPING
            assert peer.rest() == b""
            listening.until(ended.done)
        assert listening.bodies() == [MESSAGE]


def test_a_message_that_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        with listening.greeted() as peer:
            peer.mail()
            assert peer.command("DATA").startswith("354")
            peer.send(MESSAGE)
            listening.run(listening.listeners.stop(0.1))
            assert peer.rest() == b""
        listening.until(lambda: listening.connections == 0)
        assert listening.messages() == ()


# --- Addresses ---


def listeners(*addresses: tuple[str, int], sandbox: bool = False) -> Listeners:
    config = Config(
        hostname="relay.test",
        spool=Spool(url="sqlite:"),
        listeners=tuple(Listener(host, port) for host, port in addresses),
        sandbox=sandbox,
    )
    intake = Intake(
        config=config,
        spool=None,  # type: ignore[arg-type]  # nothing is received
        door=Door(config, {}),
        clock=lambda: NOON,
        accepted=lambda lanes: None,
        blocked_lanes=lambda: (),
        smarthost_size_bytes=lambda: None,
    )
    return Listeners(intake)


def test_an_address_that_is_taken_is_named_and_the_others_are_given_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        both = listeners(("127.0.0.1", 0), ("127.0.0.1", port))
        with pytest.raises(CannotListen) as caught:
            both.bind()
    assert (caught.value.key, caught.value.port, caught.value.taken) == (
        "listener[1].address",
        port,
        True,
    )
    assert both.addresses() == []


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_machine_without_ipv6_has_a_sandbox_too(
    monkeypatch: pytest.MonkeyPatch, sandbox: bool
) -> None:
    bind = listener_module._bind

    def without_ipv6(listener: Listener) -> socket.socket:
        if listener.host == "::1":
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return bind(listener)

    monkeypatch.setattr(listener_module, "_bind", without_ipv6)
    both = listeners(("127.0.0.1", 0), ("::1", 0), sandbox=sandbox)
    if sandbox:
        both.bind()
        assert [host for host, _ in both.addresses()] == ["127.0.0.1"]
        both.close()
    else:
        with pytest.raises(CannotListen):
            both.bind()


def test_addresses_are_shown_as_the_configuration_writes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = listeners(("127.0.0.1", 0))
    shown = [("127.0.0.1", 2525), ("::1", 2525)]
    monkeypatch.setattr(type(found), "addresses", lambda _: shown)
    assert found.shown_addresses() == ["127.0.0.1:2525", "[::1]:2525"]
