"""Where Postfix sends mail, by sender, and as whom: relayhosts, logins and sender addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from relay.moving_in.letter import Note
from relay.moving_in.postfix_file import Parameters, Unreadable, read_table

_PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}
_DESTINATION = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::([A-Za-z0-9]+))?")
_ANYBODY = re.compile(r"/\^?\.[*+]\$?/[a-z]*\s+(\S+@\S+)")


@dataclass(frozen=True, slots=True)
class Destination:
    """A relayhost: `looks_up_mx` where it is a domain whose mail server Postfix would look up."""

    written: str
    host: str
    port: int
    looks_up_mx: bool


@dataclass(frozen=True, slots=True)
class Login:
    """What Postfix logs in with; the password is in no repr."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


@dataclass(frozen=True, slots=True)
class Hop:
    """One smarthost as Postfix has it."""

    destination: Destination
    login: Login | None


@dataclass(frozen=True, slots=True)
class SenderRoute:
    """Mail of `sender` (an address or `*@domain`) goes by `hops`, and leaves as `address`."""

    sender: str
    hops: tuple[Hop, ...]
    address: str | None


def parse_destination(text: str) -> Destination | None:
    """`[host]:port`, `host`, `host:service`; None where it is none of these."""
    found = _DESTINATION.fullmatch(text.removeprefix("smtp:"))
    if found is None:
        return None
    port = found[3] or "smtp"
    number = _PORTS.get(port, int(port) if port.isdecimal() else 0)
    host = (found[1] or found[2]).removeprefix("ipv6:").lower()
    if not 0 < number < 65536:
        return None
    return Destination(text, host, number, found[1] is None)


class Routing:
    """All that main.cf says about it; what it cannot take over is in `notes`."""

    def __init__(self, parameters: Parameters) -> None:
        self.notes: list[Note] = []
        self._parameters = parameters
        self._logins = self._table("smtp_sasl_password_maps")
        self._relayhosts = self._table("sender_dependent_relayhost_maps")
        self._canonical = {**self._table("sender_canonical_maps"), **self._both("canonical_maps")}
        self._generic = self._table("smtp_generic_maps")
        self._by_sender = parameters.on("smtp_sender_dependent_authentication")
        self.everybody = self._for_everybody()
        """The address that all mail leaves as, where there is one."""

    def default(self) -> tuple[Hop, ...]:
        """The relayhost, and what takes over where it is down."""
        words = self._parameters.words("relayhost") + self._parameters.words("smtp_fallback_relay")
        return self._hops(words, None)

    def routes(self) -> Iterator[SenderRoute]:
        """What differs from that by sender: addresses first, then their domains."""
        senders = {*self._relayhosts, *self._canonical, *self._generic}
        if self._by_sender:
            senders |= {key for key in self._logins if "@" in key and ":" not in key}
        patterns = sorted({self._qualified(key) for key in senders if key})
        default = self.default()
        for pattern in sorted(patterns, key=lambda each: each.startswith("@")):
            address = self._address(pattern)
            # Postfix rewrites the sender before it looks for its relayhost, but for smtp_generic.
            looked_up = self._find(self._canonical, pattern) or pattern
            hops = self._hops(self._relayhost(looked_up), looked_up) or default
            if hops != default or address is not None:
                yield SenderRoute(_as_pattern(pattern), hops, address)

    def _relayhost(self, sender: str) -> Sequence[str]:
        found = self._find(self._relayhosts, sender)
        if found is not None and found.upper() != "DUNNO":
            return [found]
        return self._parameters.words("relayhost")

    def _hops(self, words: Sequence[str], sender: str | None) -> tuple[Hop, ...]:
        hops = []
        for word in words:
            destination = parse_destination(word)
            if destination is None:
                self.notes.append(Note("destination", {"value": word}))
            else:
                hops.append(Hop(destination, self._login(destination, sender)))
        return tuple(hops)

    def _login(self, destination: Destination, sender: str | None) -> Login | None:
        if not self._parameters.on("smtp_sasl_auth_enable"):
            return None
        keys = [destination.written, destination.host]
        if self._by_sender and sender is not None:
            keys = [sender, "@" + sender.rpartition("@")[2], *keys]
        for key in keys:
            if found := self._logins.get(key.lower()):
                username, colon, password = found.partition(":")
                if colon and username and password:
                    return Login(username, password)
                self.notes.append(Note("login", {"key": key}))
        if found := self._logins.get(""):  # static:
            return Login(*found.split(":", 1)) if ":" in found else None
        return None

    def _address(self, pattern: str) -> str | None:
        """What a sender becomes; None where it stays, or where no rule of ours says the same."""
        found = self._find(self._canonical, pattern) or pattern
        # The last step has the last word, and sees the address that the first one made.
        found = self._find(self._generic, found) or found
        if found == pattern:
            return None
        if found.startswith("@") or "@" not in found.strip("@") or "," in found:
            self.notes.append(Note("rewriting", {"key": pattern, "value": found}))
            return None
        return found

    def _find(self, rows: Mapping[str, str], sender: str) -> str | None:
        local, _, domain = sender.rpartition("@")
        keys = [sender.lower(), "@" + domain.lower()]
        if domain.lower() == self._parameters.value("myorigin").lower():
            keys.insert(1, local.lower())
        return next((rows[key] for key in keys if key in rows), None)

    def _qualified(self, key: str) -> str:
        return key if "@" in key else f"{key}@{self._parameters.value('myorigin')}"

    def _for_everybody(self) -> str | None:
        found = self._generic.pop("", None) or self._canonical.pop("", None)
        for name in ("smtp_generic_maps", "sender_canonical_maps"):
            for reference in self._parameters.words(name):
                found = found or _anybody(reference)
        if found is not None and "@" not in found:
            self.notes.append(Note("rewriting", {"key": "static", "value": found}))
            return None
        return found

    def _both(self, name: str) -> dict[str, str]:
        rows = self._table(name)
        if rows:
            self.notes.append(Note("recipients-too", {"name": name}))
        return rows

    def _table(self, name: str) -> dict[str, str]:
        """The rows of all its tables, the first one's first; the key "" is static:'s."""
        rows: dict[str, str] = {}
        for reference in self._parameters.words(name):
            if reference.startswith("static:"):
                rows.setdefault("", reference.removeprefix("static:").strip("{}"))
                continue
            if _anybody(reference) is not None:
                continue
            try:
                table = read_table(reference)
            except Unreadable as error:
                kind = error.table.partition(":")[0] + ":.." if "{" in error.table else error.table
                slug = "table-type" if error.reason == "type" else "table"
                note = Note(slug, {"name": name, "table": kind, "reason": error.reason})
                self.notes.append(note)
                continue
            rows = {**table.rows, **rows}
            if table.stale:
                self.notes.append(Note("table-stale", {"name": name, "table": reference}))
        return rows


def _anybody(reference: str) -> str | None:
    """The address that a table of regular expressions gives to every sender, where it does."""
    kind, _, place = reference.partition(":")
    if kind not in ("regexp", "pcre"):
        return None
    try:
        table = read_table(f"texthash:{place}")
    except Unreadable:
        return None
    if len(table.rows) != 1:
        return None
    ((key, value),) = table.rows.items()
    found = _ANYBODY.fullmatch(f"{key} {value}")
    return found[1] if found and "$" not in found[1] else None


def _as_pattern(sender: str) -> str:
    return f"*{sender}" if sender.startswith("@") else sender


__all__ = ["Destination", "Hop", "Login", "Routing", "SenderRoute", "parse_destination"]
