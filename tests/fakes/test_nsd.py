"""The real name server as a fake resolver."""

from pathlib import Path

import dns.nameserver
import dns.resolver
import pytest
from fakes.nsd import Nsd
from fakes.peers import needs

pytestmark = needs("nsd")

ZONE = """
$TTL 60
$ORIGIN mijnbakkerij.nl.
@ IN TXT "v=spf1 -all"
www IN CNAME host.example.net.
host.example.net. IN A 192.0.2.1
"""


def asker(server: Nsd) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", server.port)]
    resolver.lifetime = 5
    return resolver


def test_it_answers_as_a_resolver_would(tmp_path: Path) -> None:
    with Nsd(ZONE, tmp_path) as server:
        ask = asker(server)
        assert [str(each) for each in ask.resolve("mijnbakkerij.nl", "TXT")] == ['"v=spf1 -all"']
        assert [str(each) for each in ask.resolve("www.mijnbakkerij.nl", "A")] == ["192.0.2.1"]
        with pytest.raises(dns.resolver.NXDOMAIN):
            ask.resolve("nergens.example", "A")
        with pytest.raises(dns.resolver.NoAnswer):
            ask.resolve("mijnbakkerij.nl", "MX")


def test_other_records_can_be_published(tmp_path: Path) -> None:
    with Nsd(ZONE, tmp_path) as server:
        server.publish('$TTL 60\nmijnbakkerij.nl. IN TXT "v=spf1 +all"\n')
        found = asker(server).resolve("mijnbakkerij.nl", "TXT")
        assert [str(each) for each in found] == ['"v=spf1 +all"']


def test_a_zone_that_is_wrong_says_so(tmp_path: Path) -> None:
    server = Nsd("mijnbakkerij.nl. IN A no-address\n", tmp_path)
    with pytest.raises(RuntimeError, match="nsd"), server:
        pass
