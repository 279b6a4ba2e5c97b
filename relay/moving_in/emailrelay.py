"""The spool of E-MailRelay: pairs of an `.envelope` and a `.content` file, `.bad` where it gave up.

An envelope is lines `X-MailRelay-Name: value` up to `X-MailRelay-End`, long values folded; behind
the end a refused message has its Reason and ReasonCode. Read are the formats #2821.3 to #2821.9.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from relay.moving_in.letter import LeftOut, Letter, Note, envelope

_PREFIX = "X-MailRelay-"
_FORMAT = re.compile(r"#2821\.[3-9]")
_MOST_BYTES = 10_000_000
_NAME = re.compile(r"(?P<stem>.+)\.envelope(?P<state>\.bad|\.busy|\.new|\.local)?")
# What says how E-MailRelay was to send one message; a route of relay.toml is for that here.
_STEERING = ("ForwardTo", "ForwardToAddress", "ClientAccountSelector", "MailFromAuthOut")


@dataclass(frozen=True, slots=True)
class _Fields:
    values: dict[str, list[str]]
    after: dict[str, list[str]]
    ended: bool

    def first(self, name: str) -> str:
        return self.values.get(name, [""])[0]


def read_spool(directory: Path) -> Iterator[Letter | LeftOut]:
    """Every envelope in order of its name, which is that of time. Raises OSError: no such folder."""
    paths = sorted(directory.iterdir())
    for path in paths:
        found = _NAME.fullmatch(path.name)
        if found is not None:
            content = path.with_name(f"{found['stem']}.content")
            try:
                yield _letter(path, content, found["state"] or "")
            except OSError as error:
                yield LeftOut(path, Note("unreadable", {"reason": error.strerror or error}))
        elif path.name.endswith(".content") and not list(path.parent.glob(_envelopes(path))):
            yield LeftOut(path, Note("no-envelope"))


def _envelopes(content: Path) -> str:
    return f"{content.name.removesuffix('.content')}.envelope*"


def _letter(path: Path, content: Path, state: str) -> Letter | LeftOut:
    if state in (".busy", ".new"):
        return LeftOut(path, Note("in-use"))
    if state == ".local":
        return LeftOut(path, Note("local"))
    fields = _read(path)
    if not _FORMAT.fullmatch(fields.first("Format")):
        return LeftOut(path, Note("format", {"format": fields.first("Format") or "?"}))
    if not _is_whole(fields):
        return LeftOut(path, Note("incomplete"))
    content.stat()
    recipients = fields.values.get("To-Remote", [])
    local = fields.values.get("To-Local", [])
    if not recipients:
        return LeftOut(path, Note("local" if local else "no-recipient"))
    made = envelope(
        fields.first("From") or None, recipients, body_8bit=fields.first("Content") == "8bit"
    )
    if isinstance(made, str):
        return LeftOut(path, Note("address", {"address": made}))
    notes = [Note("local-recipient", {"address": address}) for address in local]
    notes += [
        Note("steering", {"name": _PREFIX + name, "value": fields.first(name)})
        for name in _STEERING
        if fields.first(name)
    ]
    gave_up = _reason(fields) if state == ".bad" else None
    return Letter(content, made, _address(fields.first("Client")), None, 0, gave_up, tuple(notes))


def _reason(fields: _Fields) -> str:
    """The last reply that it was given up for; a code alone where that is all there is."""
    code = (fields.after.get("ReasonCode") or [""])[-1]
    reason = (fields.after.get("Reason") or [""])[-1]
    return reason if reason.startswith(code) else f"{code} {reason}".strip()


def _read(path: Path) -> _Fields:
    """Its lines by name, unfolded; those behind the end apart."""
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES).decode("utf-8", "surrogateescape")
    values: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    into, last = values, ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t") and last:
            into[last][-1] += "\n" + line[1:]
            continue
        name, colon, value = line.partition(":")
        last = name.removeprefix(_PREFIX) if colon and name.startswith(_PREFIX) else ""
        if not last:
            continue
        into.setdefault(last, []).append(value.strip())
        if last == "End":
            into = after
            last = ""
    return _Fields(values, after, into is after)


def _is_whole(fields: _Fields) -> bool:
    count = fields.first("ToCount")
    found = sum(len(fields.values.get(name, [])) for name in ("To-Local", "To-Remote"))
    return fields.ended and count.isdecimal() and int(count) == found


def _address(text: str) -> str | None:
    """The address of a client, without the port that some versions write behind it."""
    for each in (text, text.rpartition(":")[0]):
        try:
            return str(ip_address(each.strip("[]")))
        except ValueError:
            continue
    return None
