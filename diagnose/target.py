"""The TARGET of a command: a preset, or a mail server by name or address, with or without a port."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address

from diagnose.finding import Finding, Severity
from diagnose.wording import Language, finding, say
from presets.catalog import Resolution, catalog
from presets.model import Endpoint, Preset, Tls
from presets.names import UnknownPreset, plain
from presets.reply import sanitise

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LONGEST = 1000


class BadTarget(ValueError):
    """What was given is no target; its text, in the language asked for, says what to give."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to examine.

    `host` is an address, or a name in ASCII (an IDN as RFC 5890 A-labels). `port` is None where
    none was given. `preset` is what is known of the server; `named` tells that the preset itself
    was asked for, not a server that turned out to be one of its own. `warnings` say that a name
    is of the past.
    """

    text: str
    host: str
    port: int | None = None
    preset: Preset | None = None
    named: bool = False
    warnings: tuple[Finding, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The preset's endpoints that can be dialled; the one it prefers for sending first."""
        if self.preset is None:
            return ()
        best = self.preset.endpoint()
        known = [end for end in self.preset.endpoints if not end.blanks]
        return tuple(sorted(known, key=lambda end: end is not best))

    def tls(self, host: str, port: int) -> Tls | None:
        """What the preset says of TLS at this server; None where nothing is known."""
        found = (end.tls for end in self.endpoints if (end.host, end.port) == (host, port))
        return next(found, None)


def read_target(text: str, language: Language) -> Target:
    """The target that `text` means. Raises BadTarget: neither a preset nor a server."""
    given = text.strip()
    if not given or len(given) > _LONGEST:
        raise BadTarget(say("target/empty", language))
    if "@" in given.lstrip("@"):
        raise BadTarget(say("target/address", language, text=given))
    name, port = _split(given, language)
    target = replace(_address(name) or _named(name, port, language), port=port)
    if target.preset is not None and target.named:
        return replace(target, text=given, host=_preset_host(target, language))
    return replace(target, text=given)


def _split(given: str, language: Language) -> tuple[str, int | None]:
    """The name or address, and the port behind it."""
    if given.startswith("["):
        host, bracket, rest = given[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadTarget(say("target/bad", language, text=given))
        port = rest[1:] if rest else None
    elif given.count(":") == 1:
        host, _, port = given.partition(":")
    else:
        host, port = given, None
    if port is None:
        return host, None
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise BadTarget(say("target/port", language, port=port or given))
    return host, int(port)


def _address(name: str) -> Target | None:
    try:
        return Target(name, str(ip_address(name)))
    except ValueError:
        return None


def _named(name: str, port: int | None, language: Language) -> Target:
    """A preset, or a server by name; a bare word is a server only with a port behind it."""
    found: Resolution | None = None
    nearest = ""
    try:
        found = catalog().resolve(name)
    except UnknownPreset as error:
        nearest = sanitise(error.text.get(language))
    host = _host_name(name)
    if found is not None and (host is None or plain(name) in _titles(found.requested)):
        return Target(name, "", preset=found.preset, named=True, warnings=_old(found, language))
    if found is not None and host is not None:
        return Target(name, host, preset=found.preset, warnings=_old(found, language))
    if host is None:
        raise BadTarget(f"{say('target/bad', language, text=name)} {nearest}".strip())
    if "." not in host and port is None and host != "localhost":
        raise BadTarget(f"{nearest} {say('target/word', language, text=name)}")
    return Target(name, host)


def _host_name(name: str) -> str | None:
    """A host name in ASCII, or None: RFC 1123 section 2.1, with the underscore that some use."""
    try:
        ascii_name = name.removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = ascii_name.split(".")
    numeric = labels[-1].isdigit()  # 1.2.3 or 300.1.1.1: neither an address nor a name
    fits = len(ascii_name) <= 253 and all(map(_LABEL.fullmatch, labels))
    return ascii_name if fits and not numeric else None


def _titles(preset: Preset) -> set[str]:
    """What the provider is called; a name of one of its servers is not among it."""
    short = preset.short_name
    names = (preset.id, preset.name, short, *short.split(" / "), *preset.aliases)
    return {plain(name) for name in names}


def _old(found: Resolution, language: Language) -> tuple[Finding, ...]:
    if found.warning is None:
        return ()
    return (
        finding(
            "common/preset-outdated",
            Severity.WARNING,
            language,
            warning=found.warning[language],
            use=found.preset.id,
        ),
    )


def _preset_host(target: Target, language: Language) -> str:
    assert target.preset is not None
    if not target.endpoints:
        raise BadTarget(say("target/blank", language, preset=target.preset.id))
    at_port = [end for end in target.endpoints if end.port == target.port]
    return (at_port or target.endpoints)[0].host
