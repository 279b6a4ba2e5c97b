"""Until when each smarthost worked, what failed first, and what changed since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from diagnose.explanation import explanation_document
from diagnose.finding import Document
from diagnose.relay_state import RelayState, moment
from diagnose.wording import Language
from presets.explain import Phase, explain
from presets.reply import Reply
from relay.config.model import Smarthost
from relay.control.documents import time_text

What = Literal["certificate", "address", "secret-file", "version"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not as it was when mail last left. `at` None: some time since."""

    what: What
    before: Any
    after: Any
    at: str | None

    def document(self) -> Document:
        return {"what": self.what, "before": self.before, "after": self.after, "at": self.at}


@dataclass(frozen=True, slots=True)
class Now:
    """What was found at the smarthost just now: the server's certificate, the name's addresses."""

    certificate: Document | None = None
    addresses: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """The past of one smarthost. `compared` names what could be held against something.

    With `oauth2` no password of it is known here.
    """

    smarthost: str
    worked_until: str | None
    first_failure: Document | None
    changes: tuple[Change, ...] = ()
    compared: frozenset[str] = field(default_factory=frozenset)
    oauth2: bool = False

    def changed(self, what: What) -> Change | None:
        return next((each for each in self.changes if each.what == what), None)

    def document(self) -> Document:
        return {
            "smarthost": self.smarthost,
            "worked_until": self.worked_until,
            "first_failure": self.first_failure,
            "changed_since": [each.document() for each in self.changes],
        }


def past_of(smarthost: Smarthost, state: RelayState, now: Now, language: Language) -> Past:
    """The past of `smarthost` as the relay knows it, held against what was found `now`."""
    known = state.smarthost(smarthost.name)
    worked_until = known.get("worked_until")
    failure = known.get("first_failure")
    past = Past(smarthost.name, worked_until, _explained(failure, smarthost, language))
    if worked_until is None:
        return past
    seen = known.get("seen") or {}
    found = {
        "secret-file": _secret(smarthost, worked_until),
        "certificate": _certificate(seen.get("certificate"), now.certificate, worked_until),
        "address": _address(known, seen.get("address"), now.addresses),
        "version": _version(seen.get("version"), now.version, worked_until),
    }
    changes = tuple(each for each in found.values() if isinstance(each, Change))
    compared = frozenset(what for what, each in found.items() if each is not None)
    return replace(past, changes=changes, compared=compared, oauth2=smarthost.oauth2 is not None)


def most_telling(pasts: Sequence[Past]) -> Past | None:
    """The one that fails, the latest to begin with it; else the one that worked last."""
    failing = [each for each in pasts if each.first_failure is not None]
    if failing:
        return max(failing, key=lambda each: str((each.first_failure or {})["at"]))
    return max(pasts, key=lambda each: each.worked_until or "", default=None)


def certificate_now(parts: Iterator[Document]) -> Document | None:
    """The server's own certificate in the document of `tls`."""
    return next((part["chain"][0] for part in parts if part.get("chain")), None)


def _explained(
    failure: Document | None, smarthost: Smarthost, language: Language
) -> Document | None:
    """The failure with the meaning of its reply; without a reply there is nothing to explain."""
    if failure is None:
        return None
    said, explanation = failure.get("reply"), None
    if said is not None:
        reply = Reply(said["code"], said["enhanced"], said["text"])
        phase = Phase(failure["phase"]) if failure["phase"] in set(Phase) else None
        found = explain(reply, provider=smarthost.preset, phase=phase, language=language)
        explanation = explanation_document(found)
    return {**failure, "explanation": explanation}


# Each of these: the change, True where there is none, None where it cannot be told.


def _secret(smarthost: Smarthost, worked_until: str) -> Change | bool | None:
    """By the file's time alone; what stands in it is nobody's business."""
    secret = smarthost.password
    if secret is None or secret.kind != "file":
        return None
    try:
        at = datetime.fromtimestamp(Path(secret.name).stat().st_mtime, UTC)
    except OSError:
        return None
    since = moment(worked_until)
    if since is not None and at <= since:
        return True
    return Change("secret-file", None, None, time_text(at))


def _certificate(
    seen: Document | None, found: Document | None, worked_until: str
) -> Change | bool | None:
    """What a server shows now weighs more than what the relay noted before."""
    if seen is None or seen["value"] is None:
        return None
    if found is not None and moment(found["not_after"]) != moment(seen["value"]["not_after"]):
        after = {"issuer": found["issuer"], "not_after": found["not_after"]}
        return Change("certificate", seen["value"], after, None)
    return _noted("certificate", seen, worked_until) or (found is not None or None)


def _address(
    known: Document, seen: Document | None, addresses: tuple[str, ...]
) -> Change | bool | None:
    """Large providers have many addresses in turn: only one that was never met is a change.

    IPv4 and IPv6 of one server take turns too, so only addresses of one family are compared.
    """
    worked = known.get("worked_address")
    met = {worked, *((seen or {}).get("met") or ())} - {None}
    families = {":" in each for each in met}
    failure = known.get("first_failure") or {}
    dialled = failure.get("address")
    if dialled and dialled not in met and (":" in dialled) in families:
        return Change("address", worked, dialled, failure["at"])
    now = [each for each in addresses if (":" in each) in families]
    if now and not met.intersection(now):
        return Change("address", worked, ", ".join(now), None)
    return _noted("address", seen, known["worked_until"]) or (True if now else None)


def _version(seen: Document | None, running: str | None, worked_until: str) -> Change | bool | None:
    if seen is None:
        return None
    if running is not None and running != seen["value"]:
        return Change("version", seen["value"], running, None)
    return _noted("version", seen, worked_until) or (running is not None or None)


def _noted(what: What, seen: Document | None, worked_until: str) -> Change | None:
    """A change that the relay itself saw after mail had last left."""
    if seen is None or seen.get("before") is None:
        return None
    at, since = moment(seen["since"]), moment(worked_until)
    if at is None or since is None or at <= since:
        return None
    return Change(what, seen["before"], seen["value"], seen["since"])
