"""The records of a fake name server: read from zone text, looked up as RFC 1034 section 4.3 has it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dnslib import QTYPE, RR

_LONGEST_CHAIN = 20


@dataclass(slots=True)
class Zones:
    """All records, by name in lower case without the final dot, and type."""

    records: dict[str, dict[str, list[RR]]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        for record in RR.fromZone(text):
            kinds = self.records.setdefault(plain(record.rname), {})
            kinds.setdefault(kind_of(record.rtype), []).append(record)

    def at(self, name: str) -> Mapping[str, list[RR]] | None:
        """The records of a name; none where only names below it exist; None where nothing does."""
        if name in self.records:
            return self.records[name]
        if any(known.endswith(f".{name}") for known in self.records):
            return {}
        labels = name.split(".")
        for cut in range(1, len(labels)):
            above = ".".join(labels[cut:])
            if f"*.{above}" in self.records:
                return self.records[f"*.{above}"]
            if above in self.records:
                return None  # the closest name that exists has no wildcard
        return None

    def find(self, name: str, rdtype: str) -> Iterator[RR | None]:
        """The records, aliases first; None at the end where the name does not exist."""
        for _ in range(_LONGEST_CHAIN):
            kinds = self.at(name)
            if kinds is None:
                yield None
                return
            wanted = kinds.get(rdtype, [])
            alias = [] if wanted else kinds.get("CNAME", [])
            for record in wanted or alias:
                yield RR(name, record.rtype, record.rclass, record.ttl, record.rdata)
            if not alias:
                return
            name = plain(alias[0].rdata.label)


def plain(name: object) -> str:
    """A name as it is compared."""
    return str(name).lower().rstrip(".")


def kind_of(number: int) -> str:
    """A, TXT, MX and so on."""
    return str(QTYPE.get(number))
