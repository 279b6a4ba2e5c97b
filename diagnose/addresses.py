"""From a host name to its addresses: through `--nameserver`, else as the system itself does it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from diagnose.runner import Circumstances

Family = Literal[4, 6]
Problem = Literal["no-such-name", "no-address", "dns-failed"]

_FAMILIES: dict[int, Family] = {socket.AF_INET: 4, socket.AF_INET6: 6}
# The name exists not, or without addresses; every other code means: ask again later.
_NOT_THERE = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address as text, with its family."""

    text: str
    family: Family


@dataclass(frozen=True, slots=True)
class Lookup:
    """The addresses of a name in the order of the answer; with none, `problem` says why."""

    addresses: tuple[Address, ...]
    problem: Problem | None = None
    detail: str = ""


async def look_up(host: str, circumstances: Circumstances) -> Lookup:
    """The addresses of a name or an address, of the family that `-4` or `-6` allows."""
    with contextlib.suppress(ValueError):
        literal = ip_address(host)
        family: Family = 4 if literal.version == 4 else 6
        return _of_family((Address(host, family),), circumstances)
    # RFC 6761 section 6.3: localhost is never asked of a name server.
    if circumstances.nameserver is None or host == "localhost":
        found = await _ask_system(host, circumstances)
    else:
        found = await _ask_nameserver(host, circumstances)
    return found if found.problem else _of_family(found.addresses, circumstances)


def _of_family(addresses: tuple[Address, ...], circumstances: Circumstances) -> Lookup:
    wanted = circumstances.family
    kept = tuple(each for each in addresses if wanted in (None, each.family))
    return Lookup(kept, None if kept else "no-address")


async def _ask_system(host: str, circumstances: Circumstances) -> Lookup:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address] | OSError] = loop.create_future()

    def ask() -> None:
        result: list[Address] | OSError
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            result = [
                Address(str(target[0]), _FAMILIES[family])
                for family, *_, target in found
                if family in _FAMILIES
            ]
        except OSError as error:
            result = error
        except UnicodeError as error:
            result = socket.gaierror(socket.EAI_NONAME, str(error))
        with contextlib.suppress(RuntimeError):  # the command did not wait for us
            loop.call_soon_threadsafe(deliver, result)

    def deliver(result: list[Address] | OSError) -> None:
        if not answer.done():
            answer.set_result(result)

    # Not the loop's own threads: the end of the program would wait for a slow system resolver.
    threading.Thread(target=ask, daemon=True).start()
    try:
        async with asyncio.timeout(circumstances.timeout_seconds):
            result = await answer
    except TimeoutError:
        return Lookup((), "dns-failed", f"{circumstances.timeout_seconds:g} s")
    if isinstance(result, OSError):
        there = result.errno not in _NOT_THERE
        return Lookup((), "dns-failed" if there else "no-such-name", result.strerror or str(result))
    return Lookup(tuple(dict.fromkeys(result)))


async def _ask_nameserver(host: str, circumstances: Circumstances) -> Lookup:
    resolver = circumstances.resolver()
    wanted: tuple[Family, ...] = (circumstances.family,) if circumstances.family else (4, 6)

    async def ask(family: Family) -> Lookup:
        import dns.exception
        import dns.resolver

        try:
            answer = await resolver.resolve(host, "A" if family == 4 else "AAAA")
        except dns.resolver.NXDOMAIN:
            return Lookup((), "no-such-name", "NXDOMAIN")
        except dns.resolver.NoAnswer:
            return Lookup((), "no-address")
        except (dns.exception.DNSException, OSError) as error:
            return Lookup((), "dns-failed", f"{type(error).__name__}: {error}")
        return Lookup(tuple(Address(record.to_text(), family) for record in answer))

    answers = await asyncio.gather(*map(ask, wanted))
    found = tuple(address for each in answers for address in each.addresses)
    if found:
        return Lookup(found)
    failed = (each for each in answers if each.problem == "dns-failed")
    return next(failed, answers[0])
