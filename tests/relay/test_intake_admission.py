"""Who comes in: unlisted machines, mapped addresses, rules that change, limits, learning."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.listening import MESSAGE, NOON, CheckedClient, Listening, client

from relay.access.address import peer_address
from relay.config.model import Config, Listener, Spool
from relay.intake.door import Admission, Door
from relay.spool.model import HeldFor

STRANGER = "127.0.0.2"


def test_an_unlisted_machine_hears_its_address_and_what_to_do(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        with listening.connect(source=STRANGER) as peer:
            assert (
                peer.reply() == f"554 5.7.1 {STRANGER} is not listed; relay client allow {STRANGER}"
            )
            assert peer.rest() == b""
        assert listening.messages() == ()
        assert [str(each.address) for each in listening.intake.door.refused.drain()] == [STRANGER]
        assert listening.connections == 0


def test_without_clients_in_the_file_only_this_machine_may_send(tmp_path: Path) -> None:
    with Listening(tmp_path) as listening:
        with listening.greeted() as peer:
            peer.mail()
        with listening.connect(source=STRANGER) as peer:
            assert peer.reply().startswith("554 5.7.1 127.0.0.2 ")


def test_a_mapped_address_is_the_ipv4_address_it_maps(tmp_path: Path) -> None:
    with Listening(tmp_path, client(), listener=Listener("::", 0)) as listening:
        with CheckedClient("127.0.0.1", listening.port) as peer:
            peer.greet().mail()
            assert peer.message(MESSAGE).startswith("250")
        with CheckedClient("127.0.0.1", listening.port, source=STRANGER) as peer:
            assert (
                peer.reply() == f"554 5.7.1 {STRANGER} is not listed; relay client allow {STRANGER}"
            )
        with CheckedClient("::1", listening.port) as peer:
            assert peer.reply().startswith("554 5.7.1 ::1 ")
        (message,) = listening.messages()
        assert message.client_address == "127.0.0.1"


def test_a_rule_that_is_removed_counts_at_the_next_mail(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening, listening.greeted() as peer:
        peer.mail()
        listening.change(client("ander", "192.168.1.0/24"))
        # What was begun may end; the program was told that it may.
        assert peer.message(MESSAGE).startswith("250")
        assert peer.command("MAIL FROM:<info@mijnbakkerij.nl>").startswith("421 4.7.0 127.0.0.1 ")
        assert peer.rest() == b""
        with listening.connect() as again:
            assert again.reply().startswith("554 5.7.1 127.0.0.1 ")


def test_a_client_has_its_own_limit_of_connections(tmp_path: Path) -> None:
    clients = (client(max_connections=2), client("kantoor", "127.0.0.2/32"))
    with Listening(tmp_path, *clients) as listening:
        with listening.greeted() as first, listening.greeted():
            with listening.connect() as third:
                assert third.reply() == "421 4.7.0 127.0.0.1 has too many connections open"
                assert third.rest() == b""
            with listening.connect(source="127.0.0.2") as other:
                other.greet()
            assert first.command("NOOP") == "250 2.0.0 ok"
            assert first.command("QUIT") == "221 2.0.0 bye"
            assert first.rest() == b""
            listening.until(lambda: listening.connections == 1)
            with listening.greeted() as third:
                third.mail()
        listening.until(lambda: listening.connections == 0)


def test_all_clients_together_have_a_limit_of_connections(tmp_path: Path) -> None:
    listener = Listener("127.0.0.1", 0, max_connections=2)
    clients = (client(), client("kantoor", "127.0.0.2/32"))
    with (
        Listening(tmp_path, *clients, listener=listener) as listening,
        listening.greeted() as first,
        listening.greeted(),
    ):
        with listening.connect(source="127.0.0.2") as third:
            assert third.reply() == "421 4.3.2 too busy, try again in a moment"
            assert third.rest() == b""
        first.mail()
        assert first.message(MESSAGE).startswith("250")


def test_refusals_but_those_of_unlisted_machines_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Listening(tmp_path, client(max_connections=1)) as listening, listening.greeted() as peer:
        with listening.connect() as second:
            second.reply()
        with listening.connect(source=STRANGER) as stranger:
            stranger.reply()
        peer.command("MAIL FROM:<info>")
    fields = [record.fields for record in caplog.records if record.msg == "refused"]  # type: ignore[attr-defined]
    assert [each["reply"][:9] for each in fields] == ["421 4.7.0", "501 5.1.7"]
    assert fields[1]["client"] == "kassa"


# --- The learning window ---


def door(*clients: str) -> Door:
    config = Config(
        hostname="relay.test", spool=Spool(url="sqlite:"), clients=(client("kassa", *clients),)
    )
    made = Door(config, {})
    made.learning_until = NOON + timedelta(minutes=10)
    return made


@pytest.mark.parametrize("address", ["192.168.1.40", "10.1.2.3", "fd00::1", "fe80::1%eth0"])
def test_a_window_lets_unlisted_private_addresses_in(address: str) -> None:
    admission = door("192.168.1.20/32").admit(address, NOON)
    assert isinstance(admission, Admission)
    assert admission.learning
    assert admission.client.name == "learning"


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "", "x"])
def test_a_window_keeps_public_addresses_out(address: str) -> None:
    assert door("192.168.1.20/32").admit(address, NOON) == "not-listed"


def test_a_listed_address_is_itself_in_a_window() -> None:
    admission = door("192.168.1.20/32").admit("192.168.1.20", NOON)
    assert isinstance(admission, Admission)
    assert not admission.learning
    assert admission.client.name == "kassa"


@pytest.mark.parametrize("minutes", [10, -121], ids=["at its end", "after the clock was set back"])
def test_a_window_ends(minutes: int) -> None:
    assert door("192.168.1.20/32").admit("192.168.1.40", NOON + timedelta(minutes=minutes)) == (
        "not-listed"
    )


def test_mail_of_an_unlisted_machine_is_held_in_a_window(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        listening.intake.door.learning_until = NOON + timedelta(minutes=10)
        with listening.connect(source=STRANGER) as peer:
            peer.greet().mail()
            reply = peer.message(MESSAGE)
            assert reply.startswith("250 2.0.0 ")
            assert reply.endswith(
                f" held until {STRANGER} is allowed; relay client allow {STRANGER}"
            )
            listening.later(600)
            assert peer.command("MAIL FROM:<info@mijnbakkerij.nl>").startswith("421 4.7.0 ")
        (message,) = listening.messages()
        assert [each.held_for for each in message.recipients] == [HeldFor.LEARNING]
        assert message.client_address == STRANGER
        assert listening.lanes == [set()]


def test_a_client_called_learning_is_a_client_like_any_other(tmp_path: Path) -> None:
    with Listening(tmp_path, client("learning")) as listening, listening.greeted() as peer:
        peer.mail()
        assert peer.message(MESSAGE).endswith(" accepted")


def test_a_window_reaches_no_further_than_the_private_networks() -> None:
    assert door("192.168.1.20/32").find(peer_address("172.32.0.1"), NOON) is None
