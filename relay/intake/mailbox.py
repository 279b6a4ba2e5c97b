"""The grammar of one address: RFC 5321 section 4.1.2 with the UTF-8 of RFC 6531 section 3.3.

Nothing is decoded, folded or unescaped: an address is a text that fits the grammar, or it is
none. Percent hacks and bang paths are ordinary local-parts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

_UTF8 = "\x80-\U0010ffff"
_ATOM = f"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_UTF8}-]+"
_QUOTED = rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"'
_LOCAL_PART = re.compile(rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
# Windows machine names hold underscores, and old programs send them as the sender's domain.
_LENIENT_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_QUOTED_RUN = r'"(?:[^"\\]|\\.)*"'
_BRACKETED = re.compile(rf'<((?:{_QUOTED_RUN}|[^"<>])*)>')
_BARE = re.compile(rf'((?:{_QUOTED_RUN}|[^"<> ])+)')
_SOURCE_ROUTE = re.compile(r"(@[^:,@]+(?:,@[^:,@]+)*):(?=.)")

# RFC 5321 section 4.5.3.1, in octets; a path counts its brackets and its source route.
MAX_LOCAL_PART_BYTES = 64
MAX_DOMAIN_BYTES = 255
MAX_PATH_BYTES = 256
_MAX_LABEL_BYTES = 63  # RFC 1035 section 2.3.4


def cut_path(text: str, *, lenient: bool) -> tuple[str, str] | None:
    """What stands between the brackets at the start of ``text``, and what follows them.

    Lenient also takes a path without brackets, up to the next space, and blanks inside the
    brackets. None when there is no complete path, or one of more than 256 octets.
    """
    found = _BRACKETED.match(text)
    if found is None and lenient:
        found = _BARE.match(text)
    if found is None or len(found[1].encode()) + 2 > MAX_PATH_BYTES:
        return None
    inside = found[1].strip(" ") if lenient else found[1]
    return inside, text[found.end() :]


def without_source_route(path: str, *, lenient: bool) -> str | None:
    """``user@dom`` of ``@a,@b:user@dom`` (to be ignored: RFC 5321 section 4.1.1.3).

    A path without a source route comes back as it is; None is a malformed route.
    """
    if not path.startswith("@"):
        return path
    route = _SOURCE_ROUTE.match(path)
    if route is None:
        return None
    hops = route[1][1:].split(",@")
    return path[route.end() :] if all(is_domain(hop, lenient=lenient) for hop in hops) else None


@lru_cache(maxsize=1024)  # a device has few senders and recipients; at most 256 octets each
def is_mailbox(text: str, *, lenient: bool) -> bool:
    """Whether ``text`` is ``local-part@domain`` or ``local-part@[address]`` within the limits.

    Lenient also allows underscores in the domain.
    """
    local_part = _LOCAL_PART.match(text)
    if local_part is None or not text.isprintable() or not text.startswith("@", local_part.end()):
        return False
    domain = text[local_part.end() + 1 :]
    if len(local_part[0].encode()) > MAX_LOCAL_PART_BYTES:
        return False
    return is_domain(domain, lenient=lenient) or _is_address_literal(domain)


def is_domain(text: str, *, lenient: bool) -> bool:
    """Whether ``text`` is a domain by RFC 5321, or one of U-labels by RFC 6531."""
    if len(text.encode()) > MAX_DOMAIN_BYTES:
        return False
    pattern = _LENIENT_LABEL if lenient else _LABEL
    return all(_is_label(label, pattern) for label in text.split("."))


def _is_label(label: str, pattern: re.Pattern[str]) -> bool:
    if label.isascii():
        return len(label) <= _MAX_LABEL_BYTES and pattern.fullmatch(label) is not None
    letters = all(char == "-" or unicodedata.category(char)[0] in "LMN" for char in label)
    return letters and not label.startswith("-") and not label.endswith("-")


def _is_address_literal(text: str) -> bool:
    if not (text.startswith("[") and text.endswith("]")):
        return False
    inside = text[1:-1]
    try:
        if inside[:5].lower() == "ipv6:":
            return IPv6Address(inside[5:]).scope_id is None
        IPv4Address(inside)
    except AddressValueError:
        return False
    return True
