"""The fake name server, asked by dnspython."""

import time
from collections.abc import Iterator

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import pytest
from fakes.nameserver import Fault, Kind, NameServer

ZONE = """
$TTL 300
$ORIGIN mijnbakkerij.nl.
@       IN SOA ns hostmaster 1 3600 600 86400 300
@       IN TXT "v=spf1 ip4:192.0.2.1 " "-all"
@       IN MX  10 mx
mx      IN A   192.0.2.25
mx      IN AAAA 2001:db8::25
www     IN CNAME mx
lost    IN CNAME nowhere.example.net.
*.klant IN A   192.0.2.77
_submission._tcp IN SRV 0 1 587 mx.mijnbakkerij.nl.
long    IN TXT "{long}" "{long}" "{long}"
deep.below IN A 192.0.2.9
""".replace("{long}", "x" * 250)


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


def asker(server: NameServer) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(*server.pair)]
    resolver.lifetime, resolver.timeout = 0.6, 0.3
    return resolver


async def texts(server: NameServer, name: str, rdtype: str) -> list[str]:
    return sorted(str(each) for each in await asker(server).resolve(name, rdtype))


async def test_records_of_every_kind(server: NameServer) -> None:
    assert await texts(server, "MijnBakkerij.nl", "TXT") == ['"v=spf1 ip4:192.0.2.1 " "-all"']
    assert await texts(server, "mijnbakkerij.nl", "MX") == ["10 mx.mijnbakkerij.nl."]
    assert await texts(server, "mx.mijnbakkerij.nl", "AAAA") == ["2001:db8::25"]
    assert await texts(server, "www.mijnbakkerij.nl", "A") == ["192.0.2.25"]
    assert await texts(server, "a.b.klant.mijnbakkerij.nl", "A") == ["192.0.2.77"]
    found = await texts(server, "_submission._tcp.mijnbakkerij.nl", "SRV")
    assert found == ["0 1 587 mx.mijnbakkerij.nl."]
    assert server.asked("mijnbakkerij.nl.") == 2
    assert server.asked("mijnbakkerij.nl", "MX") == 1


@pytest.mark.parametrize(
    ("name", "rdtype", "error"),
    [
        ("mijnbakkerij.nl", "AAAA", dns.resolver.NoAnswer),
        ("below.mijnbakkerij.nl", "A", dns.resolver.NoAnswer),
        ("x.mijnbakkerij.nl", "A", dns.resolver.NXDOMAIN),
        ("lost.mijnbakkerij.nl", "A", dns.resolver.NXDOMAIN),
        ("example.net", "A", dns.resolver.NXDOMAIN),
    ],
)
async def test_what_is_not_there(
    server: NameServer, name: str, rdtype: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await asker(server).resolve(name, rdtype)


async def test_a_large_answer_comes_over_tcp(server: NameServer) -> None:
    assert len((await texts(server, "long.mijnbakkerij.nl", "TXT"))[0]) > 750
    assert [each.tcp for each in server.questions] == [False, True]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("silent", dns.exception.Timeout),
        ("garbage", dns.exception.DNSException),
        ("wrong-id", dns.exception.Timeout),
        ("other-question", dns.exception.Timeout),
        ("servfail", dns.resolver.NoNameservers),
        ("refused", dns.resolver.NoNameservers),
        ("nxdomain", dns.resolver.NXDOMAIN),
        ("no-data", dns.resolver.NoAnswer),
    ],
)
async def test_faults(server: NameServer, kind: Kind, error: type[Exception]) -> None:
    server.faults["mx.mijnbakkerij.nl"] = Fault(kind)
    with pytest.raises(error):
        await asker(server).resolve("mx.mijnbakkerij.nl", "A")
    assert await texts(server, "mijnbakkerij.nl", "MX")


async def test_a_fault_for_some_types_or_all_below(server: NameServer) -> None:
    server.faults["mx.mijnbakkerij.nl"] = Fault("servfail", rdtypes=frozenset({"AAAA"}))
    assert await texts(server, "mx.mijnbakkerij.nl", "A")
    server.faults["*.mijnbakkerij.nl"] = Fault("nxdomain")
    assert await texts(server, "mijnbakkerij.nl", "MX")
    with pytest.raises(dns.resolver.NXDOMAIN):
        await asker(server).resolve("www.mijnbakkerij.nl", "A")


async def test_truncated_lying_and_slow(server: NameServer) -> None:
    server.faults["mx.mijnbakkerij.nl"] = Fault("truncated")
    assert await texts(server, "mx.mijnbakkerij.nl", "A") == ["192.0.2.25"]
    assert server.questions[-1].tcp
    server.faults["mx.mijnbakkerij.nl"] = Fault(
        "liar", records="mx.mijnbakkerij.nl. 60 IN A 203.0.113.66"
    )
    assert await texts(server, "mx.mijnbakkerij.nl", "A") == ["203.0.113.66"]
    server.faults["mx.mijnbakkerij.nl"] = Fault("none", delay_seconds=0.1)
    began = time.monotonic()
    assert await texts(server, "mx.mijnbakkerij.nl", "A") == ["192.0.2.25"]
    assert time.monotonic() - began >= 0.1


async def test_records_change_while_it_runs(server: NameServer) -> None:
    server.withdraw("mijnbakkerij.nl", "TXT")
    server.publish('mijnbakkerij.nl. 60 IN TXT "v=spf1 +all"')
    assert await texts(server, "mijnbakkerij.nl", "TXT") == ['"v=spf1 +all"']
    server.withdraw("mx.mijnbakkerij.nl")
    with pytest.raises(dns.resolver.NXDOMAIN):
        await asker(server).resolve("mx.mijnbakkerij.nl", "A")


async def test_ipv6() -> None:
    with NameServer("a.example. 60 IN A 192.0.2.1", host="::1") as server:
        assert server.address == f"[::1]:{server.port}"
        assert await texts(server, "a.example", "A") == ["192.0.2.1"]
