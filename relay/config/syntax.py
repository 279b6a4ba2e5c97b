"""How the single values of `relay.toml` are written: hosts, networks, addresses, secrets.

Each function takes the text of the file and gives the value, or raises BadValueError with the reason.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple, cast, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from relay.access.address import Network, plain_network
from relay.config.fault import BadValueError
from relay.config.secret import SecretKind, SecretRef

LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
# RFC 5322 section 3.2.3, dot-atom; quoted local parts are of no use in a configuration.
LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
SECRET_FORMS = ", ".join(f'{{ {kind} = ".." }}' for kind in get_args(SecretKind))


class HostPort(NamedTuple):
    """An address to listen on; `host` has no brackets."""

    host: str
    port: int


def domain(text: str) -> str:
    """A host or domain name of ASCII labels (RFC 5321 section 4.1.2), a trailing dot dropped."""
    if not text.isascii():
        raise BadValueError(
            f"{text!r} bevat andere tekens dan ASCII{_punycode(text, 'schrijf')}",
            f"{text!r} has characters outside ASCII{_punycode(text, 'write')}",
        )
    name = text.removesuffix(".")
    if not name or len(name) > 253 or not all(map(LABEL.fullmatch, name.split("."))):
        raise BadValueError(
            f"{text!r} is geen naam van een computer of domein",
            f"{text!r} is no name of a host or domain",
        )
    return name


def _punycode(text: str, verb: str) -> str:
    try:
        return f"; {verb} {text.encode('idna').decode('ascii')!r}"
    except UnicodeError:
        return ""


def host(text: str) -> str:
    """A host name or an IP address; square brackets around an IPv6 address are dropped."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ip_address(bare)
    except ValueError:
        pass
    else:
        return bare
    name, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and ":" not in name:
        raise BadValueError(
            f"{text!r} noemt een poort; schrijf die apart: port = {port}",
            f"{text!r} names a port; write it apart: port = {port}",
        )
    _refuse_odd_ipv4(text)
    return domain(text)


def blank(text: str) -> str | None:
    """The part of a preset's host that is to be filled in (`<NNNN>`), None if there is none."""
    match = re.search(r"<[^>]*>", text)
    return match[0] if match else None


def smarthost_host(text: str) -> str:
    """As `host`, saying so where the blank of a provider's host is not filled in."""
    if hole := blank(text):
        raise BadValueError(
            f"vul {hole} in {text!r} in; uw provider noemt de juiste naam",
            f"fill in {hole} in {text!r}; your provider tells the right name",
        )
    return host(text)


def ehlo_name(text: str) -> str:
    """The name for EHLO: a domain, or an address literal such as `[192.0.2.1]`."""
    if text.startswith("[") and text.endswith("]"):
        literal = text[1:-1]
        try:
            address = ip_address(literal.removeprefix("IPv6:"))
        except ValueError:
            pass
        else:
            return f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]"
    return domain(text)


def host_port(text: str) -> HostPort:
    """`host:port` or `[IPv6]:port`; port 0 lets the system choose one."""
    where, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise BadValueError(
            f'{text!r} is geen host:poort, zoals "127.0.0.1:2525" of "[::]:25"',
            f'{text!r} is no host:port such as "127.0.0.1:2525" or "[::]:25"',
        )
    if ":" in where and not (where.startswith("[") and where.endswith("]")):
        raise BadValueError(
            f'zet een IPv6-adres tussen haken: "[{where}]:{port}"',
            f'put an IPv6 address in brackets: "[{where}]:{port}"',
        )
    return HostPort(host(where), int(port))


def network(text: str) -> Network:
    """An address or a network in CIDR notation; IPv4 mapped into IPv6 becomes IPv4."""
    if "%" in text:
        raise BadValueError(
            f"laat de interface weg: {text.partition('%')[0]!r}",
            f"leave the interface out: {text.partition('%')[0]!r}",
        )
    try:
        return plain_network(ip_network(text))
    except ValueError:
        pass
    _refuse_odd_ipv4(text.partition("/")[0])
    try:
        whole = ip_network(text, strict=False)
    except ValueError:
        raise BadValueError(
            f'{text!r} is geen adres of netwerk, zoals "192.168.1.20" of "192.168.1.0/24"',
            f'{text!r} is no address or network such as "192.168.1.20" or "192.168.1.0/24"',
        ) from None
    address = text.partition("/")[0]
    raise BadValueError(
        f"{text!r} is een adres binnen een netwerk; schrijf {str(whole)!r} of {address!r}",
        f"{text!r} is an address inside a network; write {str(whole)!r} or {address!r}",
    )


def _refuse_odd_ipv4(text: str) -> None:
    """Raises BadValueError for what C libraries read as IPv4 and people read otherwise."""
    parts = text.split(".")
    if not all(re.fullmatch(r"[0-9]+", part) for part in parts):
        return
    if len(parts) != 4:
        raise BadValueError(
            f"{text!r} is geen volledig IPv4-adres; schrijf alle vier de getallen",
            f"{text!r} is no complete IPv4 address; write all four numbers",
        )
    if any(len(part) > 1 and part.startswith("0") for part in parts):
        plain = ".".join(part.lstrip("0") or "0" for part in parts)
        raise BadValueError(
            f"{text!r} is dubbelzinnig: een voorloopnul kan octaal zijn; schrijf {plain!r}",
            f"{text!r} is ambiguous: a leading zero may mean octal; write {plain!r}",
        )
    if any(int(part[:9]) > 255 for part in parts):
        raise BadValueError(
            f"{text!r} is geen IPv4-adres: elk getal is hoogstens 255",
            f"{text!r} is no IPv4 address: each number is at most 255",
        )


def mail_address(text: str) -> str:
    """A mail address: dot-atom, `@`, domain. ASCII, at most 254 characters."""
    local, at, where = text.rpartition("@")
    if not at or len(text) > 254 or len(local) > 64 or not LOCAL_PART.fullmatch(local):
        raise BadValueError(
            f'{text!r} is geen mailadres, zoals "info@mijnbakkerij.nl"',
            f'{text!r} is no mail address such as "info@mijnbakkerij.nl"',
        )
    return f"{local}@{domain(where)}"


def account_address(username: str | None) -> str | None:
    """The mail address that a user name is; None where it is none."""
    try:
        return mail_address(username or "")
    except BadValueError:
        return None


def address_pattern(text: str) -> str:
    """A mail address, `*@domain` for everyone there, or `*` for anyone."""
    if text == "*":
        return text
    if text.startswith("@") or "@" not in text:
        part = text.removeprefix("@")
        raise BadValueError(
            f'{text!r} is geen adres of patroon; bedoelt u "*@{part}"?',
            f'{text!r} is no address or pattern; do you mean "*@{part}"?',
        )
    if text.startswith("*@"):
        return f"*@{domain(text[2:])}"
    return mail_address(text)


def spool_url(text: str) -> str:
    """`sqlite:///absolute/path`, or a PostgreSQL URL without a password in it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == "sqlite" and not parts.netloc and parts.path.strip("/"):
        return text
    if parts.scheme in {"postgresql", "postgres"}:
        if parts.password is not None or "password" in dict(parse_qsl(parts.query)):
            raise BadValueError(
                "het wachtwoord staat in url; zet het in password = { file = .. }",
                "url holds the password; put it in password = { file = .. }",
            )
        return text
    raise BadValueError(
        f'{text!r} is geen spool, zoals "sqlite:///var/lib/relay/spool.db"',
        f'{text!r} is no spool such as "sqlite:///var/lib/relay/spool.db"',
    )


def sqlite_path(url: str) -> Path | None:
    """The file that a SQLite URL names, None for another URL. `sqlite:///C:/x` is C:/x."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        return None
    # Four slashes, as other programs write an absolute path, mean the same as three.
    path = re.sub(r"^/+", "/", unquote(parts.path))
    return Path(path[1:] if re.match(r"/[A-Za-z]:/", path) else path)


def secret(value: object) -> SecretRef:
    """A reference to a secret: a table with exactly one of file, env, credential, keyring."""
    kinds = get_args(SecretKind)
    if not isinstance(value, dict):
        raise BadValueError(
            f"een geheim staat nooit letterlijk in de configuratie; gebruik een van {SECRET_FORMS}",
            f"a secret never stands in the configuration itself; use one of {SECRET_FORMS}",
        )
    if len(value) != 1 or next(iter(value)) not in kinds:
        raise BadValueError(
            f"gebruik precies een van {SECRET_FORMS}", f"use exactly one of {SECRET_FORMS}"
        )
    kind, name = next(iter(value.items()))
    if not isinstance(name, str) or not name or "\0" in name:
        raise BadValueError(f"{kind} = moet een tekst zijn", f"{kind} = must be a text")
    return SecretRef(cast("SecretKind", kind), name)
