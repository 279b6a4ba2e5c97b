"""SMTP smuggling over the wire: one message, and no command within it is ever obeyed."""

from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.listening import CheckedClient, Listening, client
from fakes.smuggling import SMUGGLING

from relay.config.model import Listener, TlsMode

HEAD = b"From: a@example.nl\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\n"
INNER = b"MAIL FROM:<dief@example.org>\r\nRCPT TO:<buit@example.org>\r\nDATA\r\nXYZZY\r\n"
END = b".\r\n"


def send_cut(peer: CheckedClient, stream: bytes, cut: int) -> str:
    """Sends a message in two segments and returns the only reply that may come."""
    peer.mail()
    assert peer.command("DATA").startswith("354")
    peer.send(stream[:cut])
    peer.send(stream[cut:])
    reply = peer.reply()
    # The next reply is to this command, not to one of the inner ones.
    assert peer.command("VRFY x").startswith("252")
    return reply


@pytest.mark.parametrize("form", SMUGGLING)
def test_a_smuggled_ending_makes_no_second_message(tmp_path: Path, form: str) -> None:
    ending, kept = SMUGGLING[form]
    start = len(HEAD) + len(b"Hallo")
    stream = HEAD + b"Hallo" + ending + INNER + END
    cuts = range(start, start + len(ending) + 1)
    with Listening(tmp_path, client()) as listening:
        with listening.greeted() as peer:
            replies = [send_cut(peer, stream, cut) for cut in cuts]
        assert all(reply.startswith("250 2.0.0") for reply in replies)
        assert listening.bodies() == [HEAD + b"Hallo" + kept + INNER] * len(cuts)
        for message in listening.messages():
            assert [each.address for each in message.recipients] == ["klant@example.net"]
            assert message.sender == "info@mijnbakkerij.nl"


def test_every_form_byte_by_byte(tmp_path: Path) -> None:
    with Listening(tmp_path, client()) as listening:
        with listening.greeted() as peer:
            for ending, _ in SMUGGLING.values():
                peer.mail()
                assert peer.command("DATA").startswith("354")
                peer.send_byte_by_byte(b"Hallo" + ending + INNER + END)
                assert peer.reply().startswith("250 2.0.0")
        assert len(listening.messages()) == len(SMUGGLING)


def test_every_form_under_tls(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue()
    listener = Listener("127.0.0.1", 0, TlsMode.IMPLICIT, pair.chain, pair.key)
    with Listening(tmp_path, client(), listener=listener) as listening:
        with listening.connect() as peer:
            peer.start_tls(authority.client_context())
            peer.greet()
            for ending, _ in SMUGGLING.values():
                reply = send_cut(peer, b"Hallo" + ending + INNER + END, 5 + len(ending))
                assert reply.startswith("250 2.0.0")
            peer.command("QUIT")
        assert len(listening.messages()) == len(SMUGGLING)
