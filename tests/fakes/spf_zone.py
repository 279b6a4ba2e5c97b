"""A resolver over records in a dict, in which failure is data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace

import dns.exception
import dns.name
import dns.resolver

TIMEOUT = "TIMEOUT"

Value = str | list[str]


class Zone:
    """Answers `resolve` from `records`: name -> (type, value) in the order of a zone file.

    A bare ("TIMEOUT", "") times out every type that no earlier entry answered, (type, "TIMEOUT")
    that type only. A name below `error.` that is not there, and a label over 63 octets, fail.
    `silent` names never answer at all. `asked` remembers every question.
    """

    def __init__(
        self,
        records: Mapping[str, Iterable[tuple[str, Value]]],
        *,
        refused: Iterable[str] = (),
        silent: Iterable[str] = (),
    ) -> None:
        self._records = {_key(name): list(entries) for name, entries in records.items()}
        self._refused = {_key(name) for name in refused}
        self._silent = {_key(name) for name in silent}
        self.asked: list[tuple[str, str]] = []

    async def resolve(self, name: str, rdtype: str) -> list[SimpleNamespace]:
        self.asked.append((name, rdtype))
        key = _key(name)
        if key in self._silent:
            await asyncio.Event().wait()
        if any(len(label) > 63 for label in key.split(".")):
            raise dns.exception.Timeout
        if key in self._refused or (key not in self._records and key.startswith("error.")):
            raise dns.resolver.NoNameservers
        return self._answer(key, rdtype, follow=True)

    def _answer(self, key: str, rdtype: str, *, follow: bool) -> list[SimpleNamespace]:
        if key not in self._records:
            raise dns.resolver.NXDOMAIN
        answer = []
        for kind, value in self._records[key]:
            if kind == TIMEOUT or (kind == rdtype and value == TIMEOUT):
                if not answer:
                    raise dns.exception.Timeout
                break
            if kind == rdtype:
                answer.append(_rdata(rdtype, value))
            elif kind == "CNAME" and follow:
                assert isinstance(value, str)
                return self._answer(_key(value), rdtype, follow=False)
        if not answer:
            raise dns.resolver.NoAnswer
        return answer


def txt(*records: str) -> list[tuple[str, Value]]:
    """The entries of a name that has these TXT records."""
    return [("TXT", record) for record in records]


def _key(name: str) -> str:
    return ".".join(label for label in name.lower().split(".") if label)


def _rdata(rdtype: str, value: Value) -> SimpleNamespace:
    """What a caller reads of dnspython's rdata of this type."""
    if rdtype == "TXT":
        parts = [value] if isinstance(value, str) else value
        return SimpleNamespace(strings=tuple(part.encode() for part in parts))
    if rdtype == "MX":
        preference, exchange = value if isinstance(value, list) else value.split()
        return SimpleNamespace(preference=int(preference), exchange=_name(exchange))
    assert isinstance(value, str)
    if rdtype == "PTR":
        return SimpleNamespace(target=_name(value))
    return SimpleNamespace(address=value)


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text) if text else dns.name.root
