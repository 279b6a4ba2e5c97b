"""What large receivers will do with a mail, by the rules that they publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from diagnose.wording import Language, say
from presets.catalog import catalog

Outcome = Literal["accepted", "at-risk", "spam", "refused", "unknown"]

_RULES = "d_bulk_sender_rules"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a receiver can check. `aligned` by SPF or DKIM; None: not known.

    `authenticated`: SPF or DKIM passes in anybody's name. `policy` is the DMARC policy as
    receivers apply it, None without one; `policy_known` False where DNS did not say.
    """

    aligned: bool | None
    authenticated: bool | None
    policy: str | None
    policy_known: bool = True


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiver's verdict. `reason` is a key of the texts of sender."""

    name: str
    outcome: Outcome
    reason: str
    reference: str | None = None

    def document(self, language: Language) -> dict[str, Any]:
        return {
            "name": self.name,
            "outcome": self.outcome,
            "why": say(f"sender/{self.reason}", language),
            "reference": self.reference,
        }


def judge(proof: Proof) -> tuple[Receiver, ...]:
    """Gmail, Microsoft and KPN, in this order."""
    return (
        Receiver("gmail", *_gmail(proof), _source("Gmail:")),
        Receiver("microsoft", *_microsoft(proof), _source("Outlook.com/")),
        Receiver("kpn", *_kpn(proof)),
    )


def _gmail(proof: Proof) -> tuple[Outcome, str]:
    if (known := _by_dmarc(proof)) is not None:
        return known
    if proof.authenticated:
        return "accepted", "gmail-authenticated"
    return "refused", "gmail-unauthenticated"  # since February 2024: SPF or DKIM of every sender


def _microsoft(proof: Proof) -> tuple[Outcome, str]:
    return _by_dmarc(proof) or ("at-risk", "microsoft-not-aligned")


def _kpn(proof: Proof) -> tuple[Outcome, str]:
    """No rule of KPN for mail that comes in is known: what DMARC asks is all there is to say."""
    if proof.aligned:
        return "accepted", "kpn-aligned"
    if proof.aligned is False and proof.policy in ("quarantine", "reject"):
        return "at-risk", "kpn-policy"
    return "unknown", "kpn-unknown"


def _by_dmarc(proof: Proof) -> tuple[Outcome, str] | None:
    """What follows from DMARC alone."""
    if proof.aligned:
        return "accepted", "aligned"
    if proof.aligned is None or not proof.policy_known:
        return "unknown", "not-known"
    if proof.policy == "reject":
        return "refused", "policy-reject"
    return ("spam", "policy-quarantine") if proof.policy == "quarantine" else None


def _source(start: str) -> str | None:
    """Where the rules of a receiver were read."""
    for fact in catalog().topics.get(_RULES, ()):
        if (fact.value or "").startswith(start):
            return next((each.address for each in fact.sources if each.openable), None)
    return None
