"""Through the relay as a process and a real Postfix: what arrives in the mailbox still verifies."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.mail_dkim import publish, verdicts
from fakes.nameserver import NameServer
from fakes.peers import needs
from fakes.postfix import Postfix
from fakes.relay_process import RelayProcess

pytestmark = needs("postfix", "saslpasswd2", "sasl-plain", "mail-dkim")

OWN = "info@mijnbakkerij.nl"
FROM = b"From: =?utf-8?q?De_B=C3=A0kker?= <info@mijnbakkerij.nl>\r\n"
SENDER_FORCED = '[sender]\npolicy = "force"\naddress = "info@mijnbakkerij.nl"\n'


@pytest.fixture
def postfix(authority: Authority) -> Iterator[Postfix]:
    with Postfix(authority.issue()) as postfix:
        yield postfix


@pytest.fixture
def relay(tmp_path: Path, authority: Authority, postfix: Postfix) -> Iterator[RelayProcess]:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(postfix.port, authority.ca_file)
    relay.write_config()
    made = relay.run("dkim", "keygen", "mijnbakkerij.nl")
    (table,) = re.findall(r"^\[\[dkim\]\]\n(?:.+\n)+", made.out, re.MULTILINE)
    relay.tables += table
    with relay:
        yield relay


MESSAGES = {
    "an old program's, without Date and Message-ID": FROM + b"Subject: Factuur\r\n\r\nHallo.\r\n",
    "folded and doubled": FROM
    + b"Subject: een\r\n\t heel \t lang\r\n  onderwerp\r\nSubject: twee\r\nTo: a@b.nl,\r\n c@d.nl"
    + b"\r\n\r\nHallo.\r\n\r\n\r\n",
    "no body": FROM + b"To: klant@example.net\r\n\r\n",
    "8-bit": FROM + "Subject: Crème brûlée\r\n\r\nÉén café, \t graag. \r\n.\r\n\r\n".encode(),
    "long lines": FROM + b"\r\n" + b"lang " * 1000 + b"x" * 5000 + b"\r\n",
    "text where an empty line should be": FROM + b"Geen lege regel\r\nHallo.\r\n",
}


def test_what_arrives_verifies(relay: RelayProcess, postfix: Postfix) -> None:
    record = relay.run("dkim", "record", "mijnbakkerij.nl", "--json").json["record"]
    with NameServer() as server:
        publish(server, record["name"], record["value"])
        for content in MESSAGES.values():
            relay.send(OWN, ["klant@example.net"], content)
        arrived = postfix.wait_for(len(MESSAGES))
        found = {copy.content: verdicts(copy.content, server) for copy in arrived}
    for content, (verdict,) in found.items():
        assert (verdict.result, verdict.domain) == ("pass", "mijnbakkerij.nl"), content[:3000]


def test_a_from_that_the_relay_rewrote(relay: RelayProcess, postfix: Postfix) -> None:
    relay.tables = relay.tables.replace("[[dkim]]", SENDER_FORCED + "[[dkim]]")
    relay.restart()
    record = relay.run("dkim", "record", "mijnbakkerij.nl", "--json").json["record"]
    with NameServer() as server:
        publish(server, record["name"], record["value"])
        relay.send(
            "kassa@winkel.local", ["klant@example.net"], b"From: kassa@winkel.local\r\n\r\nx"
        )
        (copy,) = postfix.wait_for(1)
        assert copy.sender == OWN
        assert b"X-Original-From: kassa@winkel.local" in copy.content
        assert [verdict.result for verdict in verdicts(copy.content, server)] == ["pass"]
