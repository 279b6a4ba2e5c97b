"""What somebody may answer to the questions of `relay setup`, read by the rules of relay.toml."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from presets.catalog import UnknownPreset, catalog
from relay.access.address import LARGEST_OPEN, Network, is_private_network
from relay.config import syntax
from relay.config.fault import BadValueError
from relay.config.server import neighbourhood
from relay.setup.questions import (
    HERE,
    LEARN,
    NO,
    NOBODY,
    OTHER,
    YES,
    Question,
    Situation,
    auth_of,
)

MOST_CHARACTERS = 1000

_WORDS = {
    **dict.fromkeys(("y", "j", "ja", "true"), YES),
    **dict.fromkeys(("n", "nee", "false"), NO),
    **dict.fromkeys(("ander", "anders", "andere"), OTHER),
    **dict.fromkeys(("hier",), HERE),
    **dict.fromkeys(("leer", "leren", "zoek", "find"), LEARN),
    **dict.fromkeys(("geen", "niemand", "-"), NOBODY),
    **dict.fromkeys(("behoud", "behouden"), "keep"),
    **dict.fromkeys(("herschrijf",), "rewrite"),
    **dict.fromkeys(("altijd",), "force"),
    **dict.fromkeys(("wachtwoord",), "password"),
    **dict.fromkeys(("nederlands", "dutch"), "nl"),
    **dict.fromkeys(("engels", "english"), "en"),
}


def means_no(text: str) -> bool:
    """Whether a word says no, in either language."""
    word = text.strip().casefold()
    return _WORDS.get(word, word) == NO


class Group(NamedTuple):
    """Machines under one name; "" where none was given."""

    name: str
    network: Network


def read_answer(question: Question, text: str, situation: Situation) -> str:
    """The answer as the draft keeps it. Raises BadValueError, which says what to type instead."""
    given = text.strip()
    if len(given) > MOST_CHARACTERS or not given.isprintable():
        raise BadValueError(
            "dat is geen gewone tekst van een regel", "that is no plain text of one line"
        )
    if question.choices:
        choice = _choice(question.choices, given)
        if question.name == "tls":
            end = situation.endpoint
            _check_plain(situation.answers.get("host") or (end.host if end else ""), choice)
        return choice
    if not given:
        raise BadValueError("typ een antwoord", "type an answer")
    reader = _READERS.get(question.name)
    return given if reader is None else reader(given, situation)


def _choice(choices: tuple[str, ...], given: str) -> str:
    """One of them, by its word in either language or by its number from 1."""
    word = given.casefold()
    word = _WORDS.get(word, word)
    if word.isdecimal() and word.isascii() and 1 <= int(word) <= len(choices):
        return choices[int(word) - 1]
    if word not in choices:
        names = ", ".join(choices)
        raise BadValueError(
            f"{given!r} kan hier niet; kies uit {names}",
            f"{given!r} is not possible here; choose from {names}",
        )
    return word


def _check_plain(host: str, tls: str) -> None:
    if tls == "none" and neighbourhood(host) == "public":
        raise BadValueError(
            f"zonder TLS zou een ander meelezen op weg naar {host}; kies starttls of implicit",
            f"without TLS others could read along on the way to {host}; choose starttls or implicit",
        )


def _provider(given: str, _: Situation) -> str:
    word = given.casefold()
    if _WORDS.get(word, word) == OTHER:
        return OTHER
    try:
        preset = catalog().resolve(given).preset
    except UnknownPreset as unknown:
        raise BadValueError(
            f"{unknown.text.nl} Staat uw provider er niet bij, typ dan: {OTHER}",
            f"{unknown.text.en} If yours is not among them, type: {OTHER}",
        ) from None
    end = preset.endpoint()
    if end is None:
        raise BadValueError(
            f"van {preset.name} is geen server bekend; typ {OTHER}, en dan de server",
            f"no server of {preset.name} is known; type {OTHER}, and then the server",
        )
    if end.tls == "none":
        raise BadValueError(
            f"{preset.name} neemt mail alleen zonder TLS aan, leesbaar voor anderen; kies een andere provider",
            f"{preset.name} takes mail without TLS only, readable for others; choose another provider",
        )
    return preset.id


def _host(given: str, _: Situation) -> str:
    return syntax.smarthost_host(given).lower()


def _port(given: str, _: Situation) -> str:
    if not re.fullmatch(r"[0-9]{1,5}", given) or not 1 <= int(given) <= 65535:
        raise BadValueError(
            f"{given!r} is geen poort: een getal van 1 tot 65535, meestal 587 of 465",
            f"{given!r} is no port: a number from 1 to 65535, mostly 587 or 465",
        )
    return str(int(given))


def _username(given: str, situation: Situation) -> str:
    end = situation.endpoint
    whole = auth_of(situation) == "oauth2" or (end and "full e-mail address" in end.username)
    return syntax.mail_address(given) if whole else given


def _mail_address(given: str, _: Situation) -> str:
    return syntax.mail_address(given)


def _token(given: str, _: Situation) -> str:
    """An id of an app or a tenant."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", given):
        raise BadValueError(
            f"{given!r} is geen id, zoals 00000000-0000-0000-0000-000000000000",
            f"{given!r} is no id such as 00000000-0000-0000-0000-000000000000",
        )
    return given


def _machines(given: str, _: Situation) -> str:
    word = given.casefold()
    word = _WORDS.get(word, word)
    if word in (HERE, LEARN):
        return word
    found = groups(given)
    for each in found:
        _check_size(each.network)
    networks = [each.network for each in found]
    if len(set(networks)) < len(networks):
        raise BadValueError("een adres staat er twee keer", "an address stands there twice")
    plain = [(name, str(network).removesuffix("/32")) for name, network in found]
    return ", ".join(f"{name}={network}" if name else network for name, network in plain)


def groups(given: str) -> list[Group]:
    """`192.168.1.20, boekhouding=192.168.1.64/26`. Raises BadValueError."""
    found = []
    for part in re.split(r"[,\s]+", given.strip(", ")):
        name, equals, network = part.rpartition("=")
        if equals and not re.fullmatch(r"[\w.-]{1,64}", name):
            raise BadValueError(
                f"{name!r} is geen naam: letters, cijfers, punt en streepje",
                f"{name!r} is no name: letters, digits, dot and hyphen",
            )
        found.append(Group(name, syntax.network(network.removesuffix("/32"))))
    return found


def _check_size(network: Network) -> None:
    widest = LARGEST_OPEN[network.version]
    if network.prefixlen < widest and not is_private_network(network):
        raise BadValueError(
            f"{network} laat een groot deel van internet toe; noem de adressen van het kantoor",
            f"{network} lets in a large part of the internet; name the addresses of the office",
        )


def _listen(given: str, _: Situation) -> str:
    found = [syntax.host_port(part) for part in re.split(r"[,\s]+", given.strip(", "))]
    if len(set(found)) < len(found):
        raise BadValueError("een adres staat er twee keer", "an address stands there twice")
    return ", ".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found
    )


def _test_to(given: str, _: Situation) -> str:
    word = given.casefold()
    return NOBODY if _WORDS.get(word, word) == NOBODY else syntax.mail_address(given)


_READERS: dict[str, Callable[[str, Situation], str]] = {
    "address": _mail_address,
    "provider": _provider,
    "host": _host,
    "port": _port,
    "username": _username,
    "client_id": _token,
    "tenant": _token,
    "machines": _machines,
    "listen": _listen,
    "postmaster": _mail_address,
    "test_to": _test_to,
}
