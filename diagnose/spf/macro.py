"""Macro strings of RFC 7208 section 7: read once, expanded for each mail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

Address = IPv4Address | IPv6Address

MOST_NAME_OCTETS = 253

_LETTERS = "slodiphv"
_TEXT_LETTERS = _LETTERS + "crt"  # section 7.2: these three only in the text that exp= names
_MACRO = re.compile(r"%\{([A-Za-z])(\d*)([rR]?)([-.+,/_=]*)\}")
_ESCAPES = {"%%": "%", "%_": " ", "%-": "%20"}
_TOP_LABEL = re.compile(r"\.(?=[A-Za-z0-9-]*[A-Za-z-])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?$")


class MacroError(ValueError):
    """A macro string that breaks the grammar; `position` counts characters from its start."""

    def __init__(self, position: int) -> None:
        super().__init__(f"bad macro at {position}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Macro:
    """One `%{...}`. `digits` is how many right-hand parts remain; 0 keeps all."""

    letter: str
    digits: int
    reverse: bool
    delimiters: str
    escape: bool

    def expand(self, value: str) -> str:
        if self.digits or self.reverse or self.delimiters:
            parts = re.split(f"[{re.escape(self.delimiters or '.')}]", value)
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.digits :])
        return quote(value, safe="-._~", errors="replace") if self.escape else value


@dataclass(frozen=True, slots=True)
class Values:
    """What the letters stand for. `validated` is the value of `p`, `time_seconds` of `t`."""

    ip: Address
    domain: str
    local_part: str
    sender_domain: str
    helo: str
    validated: str = "unknown"
    receiver: str = "unknown"
    time_seconds: int = 0

    def of(self, letter: str) -> str:
        """The value of a lower-case letter, before its transformers."""
        return {
            "s": f"{self.local_part}@{self.sender_domain}",
            "l": self.local_part,
            "o": self.sender_domain,
            "d": self.domain,
            "i": dotted(self.ip),
            "p": self.validated,
            "v": "in-addr" if self.ip.version == 4 else "ip6",
            "h": self.helo,
            "c": str(self.ip),
            "r": self.receiver,
            "t": str(self.time_seconds),
        }[letter]


@dataclass(frozen=True, slots=True)
class MacroString:
    """A macro string as its parts: literal text and macros."""

    parts: tuple[str | Macro, ...]

    @property
    def letters(self) -> frozenset[str]:
        """The macro letters it uses: `p` costs lookups."""
        return frozenset(part.letter for part in self.parts if isinstance(part, Macro))

    def expand(self, values: Values) -> str:
        return "".join(
            part if isinstance(part, str) else part.expand(values.of(part.letter))
            for part in self.parts
        )

    def expand_name(self, values: Values) -> str:
        """The expansion as a domain name: no last dot, left labels cut beyond 253 octets."""
        name = self.expand(values).removesuffix(".")
        while len(name) > MOST_NAME_OCTETS and "." in name:
            name = name.partition(".")[2]
        return name


def parse_macro_string(text: str, *, explanation: bool = False) -> MacroString:
    """The parts of `text`. Raises MacroError.

    With `explanation` the letters c, r and t and spaces are allowed too: the text that exp=
    names (section 6.2, explain-string).
    """
    parts: list[str | Macro] = []
    letters = _TEXT_LETTERS if explanation else _LETTERS
    position = 0
    while position < len(text):
        if text[position] != "%":
            end = text.find("%", position)
            literal = text[position : end if end >= 0 else len(text)]
            _check_literal(literal, position, spaces=explanation)
            parts.append(literal)
            position += len(literal)
        elif (escaped := _ESCAPES.get(text[position : position + 2])) is not None:
            parts.append(escaped)
            position += 2
        else:
            found = _MACRO.match(text, position)
            if found is None or found[1].lower() not in letters or _is_zero(found[2]):
                raise MacroError(position)
            parts.append(_macro(found))
            position = found.end()
    return MacroString(tuple(parts))


def parse_domain_spec(text: str) -> MacroString:
    """A macro string that ends in a macro or in a top label (section 7.1). Raises MacroError."""
    spec = parse_macro_string(text)
    last = spec.parts[-1] if spec.parts else ""
    if isinstance(last, Macro):
        return spec
    if not _TOP_LABEL.search(text) and not text.endswith(tuple(_ESCAPES)):
        raise MacroError(len(text))
    return spec


def dotted(ip: Address) -> str:
    """The address in dots: octets of IPv4, nibbles of IPv6 (section 7.3, letter i)."""
    return str(ip) if ip.version == 4 else ".".join(ip.exploded.replace(":", "").upper())


def reverse_name(ip: Address) -> str:
    """The name below in-addr.arpa or ip6.arpa that holds the PTR records of `ip`."""
    suffix = "in-addr.arpa" if ip.version == 4 else "ip6.arpa"
    return ".".join([*reversed(dotted(ip).split(".")), suffix])


def _check_literal(literal: str, position: int, *, spaces: bool) -> None:
    lowest = " " if spaces else "!"
    for offset, character in enumerate(literal):
        if not lowest <= character <= "~":
            raise MacroError(position + offset)


def _is_zero(digits: str) -> bool:
    return bool(digits) and not digits.strip("0")


def _macro(found: re.Match[str]) -> Macro:
    letter, digits, reverse, delimiters = found.groups()
    # A name has at most 127 labels: more right-hand parts than that are all of them.
    kept = int(digits) if 0 < len(digits) <= 4 else 0
    return Macro(letter.lower(), kept, bool(reverse), delimiters, letter.isupper())
