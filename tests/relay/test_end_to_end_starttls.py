"""STARTTLS on a running relay: what was said in the clear counts for nothing afterwards."""

from pathlib import Path

from fakes.certificates import Authority
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
INJECTED = {
    "whole commands": b"EHLO dief\r\nMAIL FROM:<dief@example.org>\r\nRCPT TO:<buit@example.org>\r\n",
    "a part of one": b"MAIL FROM:<dief@exa",
    "a whole message": (
        b"EHLO dief\r\nMAIL FROM:<dief@example.org>\r\nRCPT TO:<buit@example.org>\r\nDATA\r\nx\r\n.\r\n"
    ),
    "another STARTTLS": b"STARTTLS\r\nEHLO dief\r\n",
}
CLIENTS = """
[[client]]
name = "kassa"
networks = ["127.0.0.1"]
require_tls = true
any_login = true
"""


def test_no_command_from_before_the_handshake_is_obeyed_after_it(
    tmp_path: Path, authority: Authority
) -> None:
    pair = authority.issue()
    tls = f'tls = "starttls"\ncertificate = "{pair.chain}"\nkey = "{pair.key}"'
    with Smarthost() as smarthost:
        plain = f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"'
        with RelayProcess(tmp_path, CLIENTS + plain, listener=tls) as relay:
            for injected in INJECTED.values():
                with relay.connect() as peer:
                    peer.reply()
                    hello = peer.command("EHLO kassa")
                    assert "250 STARTTLS" in hello.splitlines()
                    assert "AUTH" not in hello
                    # What was begun in the clear ends too, and nothing was to be had there.
                    assert peer.command(f"MAIL FROM:<{SENDER}>").startswith("530 5.7.0 ")
                    assert peer.command("AUTH PLAIN AGEAYg==").startswith("530 5.7.0 ")
                    assert peer.command("STARTTLS now").startswith("501 5.5.4 ")
                    peer.send(b"STARTTLS\r\n" + injected)
                    assert peer.line().startswith("220 2.0.0 ")
                    peer.start_tls(authority.client_context())
                    # The first reply is to the first command within TLS, and a new EHLO is due.
                    assert peer.command("VRFY x").startswith("252 2.5.0 ")
                    assert peer.command(f"MAIL FROM:<{SENDER}>").startswith("503 5.5.1 ")
                    assert "STARTTLS" not in peer.command("EHLO kassa")
                    assert peer.command("STARTTLS").startswith("503 5.5.1 ")
                    assert peer.command(f"MAIL FROM:<{SENDER}>").startswith("250")
                    assert peer.command("RCPT TO:<klant@example.net>").startswith("250")
                    assert peer.message(b"Subject: x\r\n\r\nx\r\n").startswith("250 2.0.0")
            arrived = smarthost.wait_for(len(INJECTED))
            assert len(relay.wait_for_event("accepted", len(INJECTED))) == len(INJECTED)
    assert {each.sender.address for each in arrived} == {SENDER}
    assert all(b" with ESMTPS id " in each.content.replace(b"\r\n", b"") for each in arrived)
