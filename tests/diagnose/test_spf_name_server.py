"""The examination through dnspython and a name server on loopback."""

from collections.abc import Iterator

import pytest
from fakes.nameserver import Fault, NameServer

from diagnose.dns import make_resolver
from diagnose.finding import Severity
from diagnose.spf.coverage import Senders
from diagnose.spf.examination import SpfExamination, examine_spf
from diagnose.spf.outcome import Cause

ZONE = """
$TTL 300
mijnbakkerij.nl. IN TXT "v=spf1 a mx:shop.mijnbakkerij.nl include:_spf.google.com " "ptr ~all"
mijnbakkerij.nl. IN TXT "other=text"
mijnbakkerij.nl. IN A 192.0.2.1
shop.mijnbakkerij.nl. IN MX 10 alias.mijnbakkerij.nl.
alias.mijnbakkerij.nl. IN CNAME real.mijnbakkerij.nl.
real.mijnbakkerij.nl. IN A 192.0.2.25
real.mijnbakkerij.nl. IN AAAA 2001:db8::25
_spf.google.com. IN TXT "v=spf1 ip4:35.190.247.0/24 ip6:2001:4860:4000::/36 ~all"
9.2.0.192.in-addr.arpa. IN PTR pc.mijnbakkerij.nl.
pc.mijnbakkerij.nl. IN A 192.0.2.9
"""


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


async def examine(server: NameServer) -> SpfExamination:
    senders = Senders(
        vias=("google-workspace",),
        ips=("192.0.2.1", "192.0.2.25", "2001:db8::25", "192.0.2.9", "192.0.2.10"),
        ordernow=False,
    )
    resolver = make_resolver(server.pair, 0.5)
    return await examine_spf("mijnbakkerij.nl", senders=senders, resolver=resolver, language="nl")


async def test_every_kind_of_record_is_read(server: NameServer) -> None:
    found = await examine(server)
    rows = {row["source"]: row for row in found.document_keys["coverage"]}
    assert {name: row["term"] for name, row in rows.items()} == {
        "google-workspace": "include:_spf.google.com",
        "ip:192.0.2.1": "a",
        "ip:192.0.2.25": "mx:shop.mijnbakkerij.nl",
        "ip:2001:db8::25": "mx:shop.mijnbakkerij.nl",
        "ip:192.0.2.9": "ptr",
        "ip:192.0.2.10": "~all",
    }
    assert rows["google-workspace"]["networks"] == {"total": 2, "covered": 2}
    assert found.document_keys["suggestion"]["adds"] == ["ip4:192.0.2.10"]
    assert server.asked("mijnbakkerij.nl", "TXT") == 1


@pytest.mark.parametrize("kind", ["silent", "servfail", "refused"])
async def test_a_name_server_that_fails_is_could_not_check(server: NameServer, kind: str) -> None:
    server.faults["*"] = Fault(kind)  # type: ignore[arg-type]
    found = await examine(server)
    assert {each.severity for each in found.findings} == {Severity.UNKNOWN}
    assert found.document_keys["result"] == "temperror"


async def test_one_name_that_fails_behind_the_record_is_not_good(server: NameServer) -> None:
    server.faults["_spf.google.com"] = Fault("servfail")
    found = await examine(server)
    assert found.trace[-1].outcome == Cause.LOOKUP_FAILED
    assert found.document_keys["suggestion"] is None
    severities = {each.severity for each in found.findings}
    assert Severity.UNKNOWN in severities
    rows = {row["source"]: row["result"] for row in found.document_keys["coverage"]}
    assert rows["ip:192.0.2.1"] == "pass"
    assert rows["google-workspace"] == "unknown"
    assert rows["ip:192.0.2.10"] == "temperror"
