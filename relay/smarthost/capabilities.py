"""What a server's EHLO offers (RFC 5321 section 4.1.1.1)."""

from collections.abc import Iterable
from dataclasses import dataclass

_MOST_SIZE_DIGITS = 18  # what the spool can keep; RFC 1870 section 4 allows 20


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The extensions that matter to a transaction. `size_bytes` None: no limit was told."""

    pipelining: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    chunking: bool = False
    size: bool = False
    size_bytes: int | None = None


def parse_capabilities(lines: Iterable[str]) -> Capabilities:
    """Capabilities of EHLO's lines; unknown and malformed ones count for nothing."""
    found: dict[str, str] = {}
    for line in lines:
        keyword, _, parameter = line.strip().partition(" ")
        found[keyword.upper()] = parameter.strip()
    return Capabilities(
        pipelining="PIPELINING" in found,
        eight_bit="8BITMIME" in found,
        smtputf8="SMTPUTF8" in found,
        dsn="DSN" in found,
        chunking="CHUNKING" in found,
        size="SIZE" in found,
        size_bytes=_limit(found.get("SIZE", "")),
    )


def _limit(size: str) -> int | None:
    """RFC 1870 section 4: 0 means that there is no fixed limit; nor is one that no mail reaches."""
    digits = size.lstrip("0") if size.isascii() and size.isdigit() else ""
    return int(digits) if 0 < len(digits) <= _MOST_SIZE_DIGITS else None
