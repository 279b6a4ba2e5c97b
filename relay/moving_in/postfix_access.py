"""Where Postfix listens and whom it lets send: master.cf, inet_interfaces, mynetworks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.access.address import LARGEST_OPEN, is_private_network
from relay.config.fault import BadValueError
from relay.config.model import Network
from relay.config.syntax import host_port, network
from relay.moving_in.letter import Note
from relay.moving_in.postfix_file import Parameters, Service, logical_lines

_HARMLESS = {"syslog_name"}
_PORTS = {"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465"}
_EVERYWHERE = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Access:
    """Addresses to listen on, networks that may send, and what of both is not taken over."""

    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    notes: tuple[Note, ...]


def read_access(parameters: Parameters, services: Sequence[Service]) -> Access:
    """Both, in the order of the files."""
    notes: list[Note] = []
    addresses = dict.fromkeys(_addresses(parameters, services, notes))
    networks = dict.fromkeys(map(str, _networks(parameters, notes)))
    return Access(tuple(addresses), tuple(networks), tuple(notes))


def _addresses(
    parameters: Parameters, services: Sequence[Service], notes: list[Note]
) -> Iterator[str]:
    interfaces = _interfaces(parameters)
    for service in services:
        odd = {name: value for name, value in service.overrides.items() if name not in _HARMLESS}
        for name, value in odd.items():
            shown = f"-o {name}={value}"
            notes.append(Note("override", {"service": service.name, "option": shown}))
        if service.kind != "inet" or service.program != "smtpd" or odd:
            continue
        host, _, port = service.name.rpartition(":")
        port = _PORTS.get(port, port)
        for each in [host] if host else interfaces:
            address = f"[{each.strip('[]')}]:{port}" if ":" in each else f"{each}:{port}"
            try:
                host_port(address)
            except BadValueError:
                notes.append(Note("listener", {"value": f"{service.name} ({each})"}))
            else:
                yield address


def _interfaces(parameters: Parameters) -> list[str]:
    words = parameters.words("inet_interfaces") or ["all"]
    if words == ["loopback-only"]:
        return ["127.0.0.1"]
    named = {"all": _EVERYWHERE, "localhost": "127.0.0.1"}
    return [named.get(word, word) for word in words]


def _networks(parameters: Parameters, notes: list[Note]) -> Iterator[Network]:
    if "mynetworks" not in parameters:
        notes.append(Note("no-mynetworks"))
    barred: list[Network] = []  # as in Postfix, these count for what stands behind them
    for word in _listed(parameters.words("mynetworks"), notes):
        found = _network(word.removeprefix("!"))
        if found is None:
            notes.append(Note("network", {"value": word}))
        elif word.startswith("!"):
            barred.append(found)
        elif found.prefixlen < LARGEST_OPEN[found.version] and not is_private_network(found):
            notes.append(Note("open-network", {"value": word}))
        else:
            yield from _without(found, barred)


def _network(word: str) -> Network | None:
    """An address or network as Postfix writes it, IPv6 in brackets; None for a table or a name."""
    if ":" in word and not word.startswith("["):
        return None
    try:
        return network(word.replace("[", "").replace("]", ""))
    except BadValueError:
        return None


def _without(whole: Network, barred: Sequence[Network]) -> Iterator[Network]:
    """What is left of a network, in as few pieces as can be."""
    for each in barred:
        if whole.version == each.version and whole.overlaps(each):
            if each.prefixlen > whole.prefixlen:
                pieces: list[Network] = list(whole.address_exclude(each))  # type: ignore[arg-type]
                for piece in sorted(pieces, key=lambda piece: int(piece.network_address)):
                    yield from _without(piece, barred)
            return
    yield whole


def _listed(words: Sequence[str], notes: list[Note]) -> Iterator[str]:
    """The words, those of a file in the place of its name."""
    for word in words:
        if not word.startswith("/"):
            yield word
            continue
        try:
            lines = logical_lines(Path(word).read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            reason = error.strerror or error
            notes.append(Note("table", {"name": "mynetworks", "table": word, "reason": reason}))
        else:
            for line in lines:
                yield from line.replace(",", " ").split()
