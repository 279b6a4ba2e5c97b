"""From what was understood of Postfix to the text of a `relay.toml` and the secrets beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from presets.catalog import catalog
from relay.config.model import TlsMode
from relay.moving_in.postfix import Office
from relay.moving_in.postfix_route import Hop, Login

_IMPLICIT_PORT = 465


@dataclass(frozen=True, slots=True)
class Fragment:
    """The text, and what goes into the files that it names; no repr shows a password."""

    text: str
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A `[[smarthost]]`. A route cannot both ask for a sender and change it, so what Postfix
    rewrites by sender has an entry of its own, with the same login, for each new address."""

    hop: Hop
    address: str | None = None


def write_fragment(office: Office, language: str) -> Fragment:
    """All tables, in the order in which the manual explains them."""
    names = _names(office)
    secrets = _secrets(names)
    client = {
        "name": "mynetworks",
        "networks": list(office.access.networks),
        "any_login": office.any_login or None,
    }
    tables = [
        _pairs({"language": language, "hostname": office.hostname}),
        *_table("[spool]", {"lifetime": office.lifetime}),
        *_listeners(office),
        *_table("[[client]]", client if office.access.networks else {}),
        *(table for entry in names for table in _smarthost(office, entry, names, secrets)),
        *_routes(office, names),
        *_sender(office),
    ]
    passwords = {
        secrets[entry.hop.login]: entry.hop.login.password
        for entry in names
        if entry.hop.login is not None
    }
    return Fragment("\n\n".join(tables) + "\n", passwords)


def _names(office: Office) -> dict[_Entry, str]:
    """A name for each smarthost, the relayhost's first: it is where mail without a route goes."""
    entries = [_Entry(hop) for hop in office.hops]
    entries += [_Entry(hop, route.address) for route in office.routes for hop in route.hops]
    names: dict[_Entry, str] = {}
    for entry in dict.fromkeys(entries):
        preset = _preset(entry.hop, office.tls)
        words = [preset or entry.hop.destination.host, *(entry.address or "").split("@")[:1]]
        wanted = re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
        numbered = (f"{wanted}-{number}" for number in range(2, len(names) + 3))
        names[entry] = next(each for each in (wanted, *numbered) if each not in names.values())
    return names


def _secrets(names: Mapping[_Entry, str]) -> dict[Login, str]:
    """A file for each login, by the name of the first smarthost that has it."""
    files: dict[Login, str] = {}
    for entry, name in names.items():
        if entry.hop.login is not None:
            files.setdefault(entry.hop.login, f"{name}.secret")
    return files


def _preset(hop: Hop, tls: TlsMode) -> str | None:
    """The preset of which this server is an endpoint; where it is of several, the one that the
    login is a mail address of."""
    wanted = (hop.destination.host, hop.destination.port, _tls(hop, tls).value)
    found = [
        preset
        for preset in catalog()
        if preset.offer_as_preset
        and any((end.host, end.port, str(end.tls)) == wanted for end in preset.endpoints)
    ]
    if len(found) > 1:
        domain = hop.login.username.rpartition("@")[2].lower() if hop.login else ""
        found = [preset for preset in found if domain in preset.mail_domains]
    return found[0].id if len(found) == 1 else None


def _tls(hop: Hop, tls: TlsMode) -> TlsMode:
    if hop.destination.port == _IMPLICIT_PORT and tls is not TlsMode.NONE:
        return TlsMode.IMPLICIT
    return tls


def _listeners(office: Office) -> Iterator[str]:
    certificate, key = office.listener_pair or (None, None)
    for address in office.access.addresses:
        yield from _table(
            "[[listener]]",
            {
                "address": address,
                "tls": "starttls" if certificate else None,
                "certificate": certificate,
                "key": key if key != certificate else None,
                "max_message_bytes": office.max_message_bytes,
            },
        )


def _smarthost(
    office: Office, entry: _Entry, names: Mapping[_Entry, str], secrets: Mapping[Login, str]
) -> Iterator[str]:
    certificate, key = office.client_pair or (None, None)
    hop, login = entry.hop, entry.hop.login
    force = {"policy": "force", "address": entry.address}
    yield from _table(
        "[[smarthost]]",
        {
            "name": names[entry],
            "preset": _preset(hop, office.tls),
            "host": hop.destination.host,
            "port": hop.destination.port,
            "tls": _tls(hop, office.tls).value,
            "ca_file": office.ca_file,
            "auth": "password" if login else "none",
            "username": login.username if login else None,
            "password": {"file": secrets[login]} if login else None,
            **office.limits,
            "client_certificate": certificate,
            "client_key": key,
            "sender": force if entry.address else None,
        },
    )


def _routes(office: Office, names: Mapping[_Entry, str]) -> Iterator[str]:
    for route in office.routes:
        through = [names[_Entry(hop, route.address)] for hop in route.hops]
        if through:
            yield from _table("[[route]]", {"sender": route.sender, "smarthost": through})


def _sender(office: Office) -> Iterator[str]:
    force = office.everybody
    yield from _table(
        "[sender]",
        {
            "policy": "force" if force else None,
            "address": force,
            "bcc": [office.bcc] if office.bcc else None,
        },
    )


def _table(heading: str, values: Mapping[str, object]) -> Iterator[str]:
    """Nothing where no value is set."""
    text = _pairs(values)
    if text:
        yield f"{heading}\n{text}"


def _pairs(values: Mapping[str, object]) -> str:
    return "\n".join(f"{key} = {_value(each)}" for key, each in values.items() if each is not None)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    # A JSON text in ASCII, a number, true or a list of these is TOML as well.
    return json.dumps(value)
