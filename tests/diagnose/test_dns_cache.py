"""The shared memory of DNS: how often the name server is asked, and for how long answers hold."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.resolver
import pytest
from fakes.nameserver import Fault, NameServer
from fakes.nsd import Nsd
from fakes.peers import needs

from diagnose.dns import make_resolver
from diagnose.dns_cache import SharedCache

ZONE = """
kort.example. 5 IN TXT "v=spf1 -all"
lang.example. 300 IN CNAME kort.example.
nul.example. 0 IN TXT "v=spf1 -all"
"""


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cached(pair: tuple[str, int], clock: Clock, **more: int) -> SharedCache:
    return SharedCache(make_resolver(pair, 5.0), more.pop("at_once", 10), clock, **more)


async def strings(cache: SharedCache, name: str) -> list[bytes]:
    return [b"".join(each.strings) for each in await cache.resolve(name, "TXT")]


async def test_an_answer_holds_for_its_ttl(server: NameServer, clock: Clock) -> None:
    cache = cached(server.pair, clock)
    for name in ("kort.example", "KORT.example."):
        assert await strings(cache, name) == [b"v=spf1 -all"]
    clock.seconds += 4.9
    await strings(cache, "kort.example")
    assert server.asked("kort.example") == 1
    clock.seconds += 0.2
    await strings(cache, "kort.example")
    assert server.asked("kort.example") == 2
    assert (cache.counts.asked, cache.counts.remembered) == (2, 2)


async def test_the_shortest_ttl_of_a_chain_counts(server: NameServer, clock: Clock) -> None:
    cache = cached(server.pair, clock)
    assert await strings(cache, "lang.example") == [b"v=spf1 -all"]
    clock.seconds += 6
    await strings(cache, "lang.example")
    assert server.asked("lang.example") == 2


async def test_a_ttl_of_nothing_is_not_kept(server: NameServer, clock: Clock) -> None:
    cache = cached(server.pair, clock)
    for _ in range(3):
        await strings(cache, "nul.example")
    assert server.asked("nul.example") == 3
    assert cache.kept_bytes == 0


async def test_who_asks_at_the_same_time_shares_one_question(
    server: NameServer, clock: Clock
) -> None:
    server.faults["nul.example"] = Fault("none", delay_seconds=0.3)
    cache = cached(server.pair, clock)
    found = await asyncio.gather(*(strings(cache, "nul.example") for _ in range(25)))
    assert found == [[b"v=spf1 -all"]] * 25
    assert server.asked("nul.example") == 1
    assert (cache.counts.asked, cache.counts.joined) == (1, 24)


async def test_one_that_gives_up_takes_nothing_from_the_others(
    server: NameServer, clock: Clock
) -> None:
    server.faults["kort.example"] = Fault("none", delay_seconds=0.3)
    cache = cached(server.pair, clock)
    first = asyncio.create_task(strings(cache, "kort.example"))
    await asyncio.sleep(0)
    second = asyncio.create_task(strings(cache, "kort.example"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == [b"v=spf1 -all"]
    assert first.cancelled()
    assert server.asked("kort.example") == 1


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        ("servfail", dns.resolver.NoNameservers),
        ("nxdomain", dns.resolver.NXDOMAIN),
        ("no-data", dns.resolver.NoAnswer),
    ],
)
async def test_failures_are_remembered_for_a_while(
    server: NameServer, clock: Clock, kind: str, raised: type[dns.exception.DNSException]
) -> None:
    server.faults["kort.example"] = Fault(kind)  # type: ignore[arg-type]
    cache = cached(server.pair, clock)
    for _ in range(2):
        with pytest.raises(raised):
            await cache.resolve("kort.example", "TXT")
    assert cache.counts.asked == 1
    del server.faults["kort.example"]
    clock.seconds += 31
    assert await strings(cache, "kort.example") == [b"v=spf1 -all"]


@needs("nsd")
@pytest.mark.parametrize(
    ("name", "raised"),
    [("weg.example", dns.resolver.NXDOMAIN), ("kort.example", dns.resolver.NoAnswer)],
)
async def test_what_does_not_exist_holds_as_long_as_the_soa_says(
    clock: Clock, tmp_path: Path, name: str, raised: type[dns.exception.DNSException]
) -> None:
    # The SOA of the fake's zone: TTL 300, minimum 60.
    with Nsd('kort.example. IN TXT "x"\n', tmp_path) as nsd:
        cache = cached(("127.0.0.1", nsd.port), clock)
        asked = []
        for seconds in (0, 59, 2):
            clock.seconds += seconds
            with pytest.raises(raised):
                await cache.resolve(name, "MX")
            asked.append(cache.counts.asked)
    assert asked == [1, 1, 2]


async def test_what_is_kept_is_bounded(server: NameServer, clock: Clock) -> None:
    text = "x" * 200
    server.publish("".join(f'n{n}.example. 300 IN TXT "{text}"\n' for n in range(30)))
    cache = cached(server.pair, clock, most_bytes=9_000)
    for n in range(30):
        await strings(cache, f"n{n}.example")
        await strings(cache, "n0.example")  # in use: it stays
    assert cache.kept_bytes <= 9_000
    assert cache.counts.forgotten > 15
    assert server.asked("n0.example") == 1
    await strings(cache, "n1.example")
    assert server.asked("n1.example") == 2
