"""The relay's own DKIM key against what DNS has for it. Only the public half is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from diagnose.checks.dkim_key import Key, is_key, parse_key
from diagnose.finding import Finding, Severity
from diagnose.runner import Circumstances
from diagnose.spf.lookup import LookupFailed, texts
from diagnose.wording import Language, finding
from relay.config.model import Config

State = Literal[
    "match",
    "testing",
    "missing",
    "other",
    "revoked",
    "several",
    "broken",
    "unchecked",
    "unreadable",
]


@dataclass(frozen=True, slots=True)
class OwnKey:
    """What the relay signs with: a domain's name, and the record that belongs there.

    `domain` may stand above the domain that was asked about. `public` is DER; None where the key
    cannot be read, and then `record` is empty.
    """

    domain: str
    selector: str
    host: str
    public: bytes | None
    record: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """What DNS has at the relay's selector, against its key."""

    key: OwnKey
    state: State
    found: str = ""

    @property
    def good(self) -> bool:
        """Receivers can verify what the relay signs."""
        return self.state in ("match", "testing")

    def document(self) -> dict[str, Any]:
        key = self.key
        names = {"domain": key.domain, "selector": key.selector, "host": key.host}
        return {**names, "state": self.state, "record": key.record or None}


def own_key(config: Config | None, domain: str) -> OwnKey | None:
    """The key with which the relay signs mail from `domain`; None where it signs none."""
    from relay.config.dkim_key import private_key
    from relay.config.fault import BadValueError
    from relay.config.secret import SecretError
    from relay.message.dkim import key_for
    from relay.message.dkim_record import public_bytes, record_of

    entry = None if config is None else key_for(domain, config.dkim)
    if entry is None:
        return None
    host = f"{entry.selector}._domainkey.{entry.domain}"
    try:
        key = private_key(entry.key.read())
    except (SecretError, BadValueError):
        return OwnKey(entry.domain, entry.selector, host, None)
    record = record_of(entry.domain, entry.selector, key).value
    return OwnKey(entry.domain, entry.selector, host, public_bytes(key.public_key()), record)


async def compare(own: OwnKey, circumstances: Circumstances) -> Compared:
    """Whether the record at the relay's selector is that of its key."""
    if own.public is None:
        return Compared(own, "unreadable")
    try:
        found = await texts(circumstances.resolver(), own.host) or ()
    except LookupFailed:
        return Compared(own, "unchecked")
    records = [text for text in found if is_key(text)]
    if not records:
        return Compared(own, "broken" if found else "missing", " ".join(found))
    if len(records) > 1:
        return Compared(own, "several", " ".join(records))
    return Compared(own, _state(parse_key(records[0]), own.public), records[0])


def _state(key: Key, public: bytes) -> State:
    if key.fault is not None:
        return "broken"
    if key.revoked:
        return "revoked"
    if key.public != public:
        return "other"
    return "testing" if key.testing else "match"


_SEVERITY = {
    "match": Severity.OK,
    "testing": Severity.WARNING,
    "unchecked": Severity.UNKNOWN,
    "unreadable": Severity.UNKNOWN,
}


def about(compared: Compared, language: Language) -> Finding:
    """The finding about the relay's own key; every state has its own."""
    key, state = compared.key, compared.state
    evidence = {"domain": key.domain, "selector": key.selector, "host": key.host}
    evidence |= {"found": compared.found, "record": key.record}
    severity = _SEVERITY.get(state, Severity.ERROR)
    return finding(f"dkim/dkim-relay-{state}", severity, language, **evidence)
