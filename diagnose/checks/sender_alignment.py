"""Whether SPF or DKIM speaks for the From domain when a provider sends (RFC 9989 section 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diagnose.checks.dkim import keys_of, look_up
from diagnose.checks.dkim_relay import OwnKey, compare
from diagnose.checks.dkim_selectors import named_by
from diagnose.resolver import Remembering
from diagnose.runner import Circumstances
from diagnose.spf.coverage import NOT_NEEDED, UNKNOWN, Row, Senders, cover, sources_of
from diagnose.spf.outcome import Result
from diagnose.spf.survey import unlisted
from presets.model import Preset

Signs = Literal["customer", "provider", "nobody"]

SIGNS: dict[str, Signs] = {
    "freedom": "customer",
    "proton": "customer",
    "kpn": "provider",
    "ziggo": "nobody",
}
"""Whose name stands in the signature on mail from a customer's own domain: what the sentence in
the preset's DKIM fact says, for those that say it."""


@dataclass(frozen=True, slots=True)
class Spf:
    """Whether SPF passes in the name of the From domain; None where nobody can tell.

    `why` is a key of the texts of sender. `passes_elsewhere`: it passes in the provider's name.
    """

    aligned: bool | None
    why: str
    row: Row
    passes_elsewhere: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Dkim:
    """Whether a signature in the name of the From domain is to be expected; None: not known.

    `hosts` are the names where its key stands, or should. `by_provider`: there is a signature,
    in the provider's own name.
    """

    aligned: bool | None
    why: str
    hosts: tuple[str, ...] = ()
    by_provider: bool = False
    failed: bool = False


async def spf_through(preset: Preset, domain: str, circumstances: Circumstances) -> Spf:
    """SPF for mail with an envelope sender in `domain`, sent by `preset`."""
    resolver = Remembering(circumstances.resolver())
    source = next(iter(sources_of(Senders(vias=(preset.id,), ordernow=False))))
    (row,) = await cover([source], domain, resolver)
    if row.result == NOT_NEEDED:
        return Spf(False, "spf-not-needed", row, passes_elsewhere=True)
    if row.result == UNKNOWN:
        return await _by_sight(row, domain, resolver)
    if row.result == Result.TEMPERROR or row.failed:
        return Spf(None, "spf-failed", row, failed=True)
    return Spf(row.passes, "spf-passes" if row.passes else "spf-fails", row)


async def _by_sight(row: Row, domain: str, resolver: Remembering) -> Spf:
    """What can be said where the outgoing addresses are not known: only that some do not pass."""
    stranger = (await unlisted(domain, resolver)).result
    results = [stranger, *(result for _, result in row.seen)]
    if row.failed or Result.TEMPERROR in results:
        return Spf(None, "spf-failed", row, failed=True)
    if stranger is Result.NONE:
        return Spf(False, "spf-none", row)
    if any(result is not Result.PASS for _, result in row.seen):
        return Spf(False, "spf-seen-fails", row)
    return Spf(None, "spf-unknown", row)


async def dkim_through(preset: Preset, domain: str, circumstances: Circumstances) -> Dkim:
    """DKIM on mail from `domain`, sent by `preset`."""
    if domain in preset.mail_domains:
        own = preset.dkim is not None and SIGNS.get(preset.id) == "provider"
        return Dkim(True if own else None, "dkim-own-domain" if own else "dkim-unknown")
    selectors = named_by(preset)
    if selectors:
        return await _by_key(selectors, domain, circumstances)
    match SIGNS.get(preset.id):
        case "customer":
            return Dkim(True, "dkim-customer")
        case "provider":
            return Dkim(False, "dkim-provider", by_provider=True)
        case "nobody":
            return Dkim(False, "dkim-nobody")
    return Dkim(None, "dkim-unknown")


async def _by_key(selectors: tuple[str, ...], domain: str, circumstances: Circumstances) -> Dkim:
    """A provider that signs with the customer's key does so when the key is published."""
    found = await look_up(domain, selectors, circumstances)
    good = [
        each.host for each in found if any(key.fault is None and key.bits for key in keys_of(each))
    ]
    if good:
        return Dkim(True, "dkim-key", tuple(good))
    if any(each.failure is not None for each in found):
        return Dkim(None, "dkim-failed", failed=True)
    return Dkim(False, "dkim-no-key", tuple(each.host for each in found))


async def dkim_by_relay(
    own: OwnKey, exact: bool, through: Dkim, circumstances: Circumstances
) -> Dkim:
    """DKIM on mail that the relay signs itself before the provider gets it.

    `exact`: the policy demands the very domain of From, and the key is one of a domain above.
    Where the relay's signature does not count, what the provider does (`through`) may still.
    """
    compared = await compare(own, circumstances)
    if compared.good and not exact:
        return Dkim(True, "dkim-relay", (own.host,), through.by_provider)
    if through.aligned:
        return through
    if compared.state in ("unchecked", "unreadable"):
        unreadable = compared.state == "unreadable"
        why = "dkim-relay-unreadable" if unreadable else "dkim-failed"
        return Dkim(None, why, (own.host,), through.by_provider, failed=not unreadable)
    why = "dkim-relay-strict" if compared.good else "dkim-relay-not-published"
    return Dkim(through.aligned, why, (own.host,), through.by_provider, through.failed)
