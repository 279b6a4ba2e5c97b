"""`diagnose sender`: may this account send as this address, and will the mail be believed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from diagnose.account import Chosen
from diagnose.checks.dkim_relay import OwnKey
from diagnose.checks.dmarc_policy import NoPolicy, Policy, find_policy
from diagnose.checks.receivers import Proof, Receiver, judge
from diagnose.checks.sender_alignment import Dkim, Spf, dkim_by_relay, dkim_through, spf_through
from diagnose.checks.sender_login import Asked, ask_provider
from diagnose.checks.sender_rule import Permission, permission
from diagnose.dialogue import reply_document
from diagnose.domain import Address, existence
from diagnose.finding import Examination, Finding, Severity, Table
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.spf.lookup import LookupFailed
from diagnose.wording import finding, say
from presets.model import Preset

RELAY_STEPS = {
    "dkim-relay-not-published": "step-relay-record",
    "dkim-relay-strict": "step-relay-exact",
}
_NOTHING_KNOWN = Proof(aligned=None, authenticated=None, policy=None, policy_known=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. With `chosen` the provider itself is asked too, with one login."""

    address: Address
    preset: Preset
    username: str | None = None
    chosen: Chosen | None = None
    warning: Mapping[str, str] | None = None
    """That the provider was asked for by a name of the past, by language."""
    own: OwnKey | None = None
    """The key with which the relay signs this mail."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What DNS says of the From domain. `policy` None: DNS gave no answer."""

    spf: Spf
    dkim: Dkim
    policy: Policy | NoPolicy | None

    @property
    def aligned(self) -> bool | None:
        """By SPF or DKIM; None where neither is sure and one is not known."""
        if self.spf.aligned or self.dkim.aligned:
            return True
        return None if None in (self.spf.aligned, self.dkim.aligned) else False

    @property
    def proof(self) -> Proof:
        """As receivers see it."""
        elsewhere = self.spf.passes_elsewhere or self.dkim.by_provider
        applied = self.policy.applied if isinstance(self.policy, Policy) else None
        return Proof(self.aligned, self.aligned or elsewhere, applied, self.policy is not None)


async def examine(question: Question, circumstances: Circumstances) -> Examination:
    """The verdict: may it send, is it aligned, and what do receivers do."""
    language = circumstances.language
    content: dict[str, Any] = {
        **dict.fromkeys(("spf_aligned", "dkim_aligned", "dmarc_policy", "reply")),
        "receivers": [each.document(language) for each in judge(_NOTHING_KNOWN)],
        "may_send": permission(question.address, question.preset, question.username).may,
        "preset": question.preset.id,
    }

    async def of_provider() -> Sequence[Finding]:
        return await _of_provider(question, circumstances, content)

    async def of_receivers() -> Sequence[Finding]:
        return await _of_receivers(question, circumstances, content)

    names = {"address": str(question.address), "provider": question.preset.short_name}
    checks = [
        Check(say("sender/check-provider", language, **names), of_provider),
        Check(say("sender/check-receivers", language, **names), of_receivers),
    ]
    found = await run_checks(checks, circumstances)
    rows = [[entry[key] for key in ("name", "outcome", "why")] for entry in content["receivers"]]
    tables = [Table(tuple(say("sender/headings", language).split("|")), rows)]
    if question.warning is not None:
        told = {"warning": question.warning[language], "use": question.preset.id}
        found.insert(0, finding("common/preset-outdated", Severity.WARNING, language, **told))
    return Examination("sender", str(question.address), found, content, tables)


async def _of_provider(
    question: Question, circumstances: Circumstances, content: dict[str, Any]
) -> Sequence[Finding]:
    """What the preset's rule says, and the provider itself where it may be asked."""
    allowed = permission(question.address, question.preset, question.username)
    asked = Asked(())
    if question.chosen is not None:
        asked = await ask_provider(
            question.address, question.preset, question.chosen, circumstances
        )
        content["reply"] = reply_document(asked.reply)
    if asked.taken is False:
        content["may_send"] = "no"
        return asked.findings  # its own word outweighs the preset
    if asked.taken and allowed.may == "unknown" and allowed.why == "rule-unknown":
        content["may_send"] = "yes"
        return asked.findings
    return [*asked.findings, *_about_rule(question, allowed, circumstances)]


def _about_rule(
    question: Question, allowed: Permission, circumstances: Circumstances
) -> Iterator[Finding]:
    preset, language = question.preset, circumstances.language
    rule = preset.sender_rule
    evidence = {
        "address": str(question.address),
        "domain": question.address.domain,
        "id": preset.id,
        "name": preset.short_name,
        "why": say(f"sender/{allowed.why}", language),
        "rule": rule.send_as.get(language) if rule.send_as else "-",
        "basis": say("sender/confirmed" if allowed.confirmed else "sender/not-confirmed", language),
    }
    # What no open source confirms is neither good nor surely wrong.
    severity = {
        "yes": Severity.OK if allowed.confirmed else Severity.INFO,
        "no": Severity.ERROR if allowed.confirmed else Severity.WARNING,
        "rewritten": Severity.WARNING,
        "unknown": Severity.UNKNOWN,
    }[allowed.may]
    id_ = f"sender-{allowed.may}" if allowed.why != "which-account" else "sender-which-account"
    yield finding(f"sender/{id_}", severity, language, **evidence)
    foreign = question.address.domain not in preset.mail_domains
    old = preset.legacy
    if old is not None and preset.kind == "isp" and foreign and rule.must_match_account is False:
        evidence = {"name": preset.short_name, "date": old.date, "address": str(question.address)}
        yield finding("sender/sender-since-2015", Severity.INFO, language, **evidence)


async def _of_receivers(
    question: Question, circumstances: Circumstances, content: dict[str, Any]
) -> Sequence[Finding]:
    """What receivers can check, and what they make of it."""
    domain, language = question.address.domain, circumstances.language
    wrong = await existence(domain, circumstances)
    if wrong is not None:
        return [wrong]
    if permission(question.address, question.preset, question.username).may == "rewritten":
        receivers: Sequence[Receiver] = [
            Receiver(name, "unknown", "rewritten-judged") for name in ("gmail", "microsoft", "kpn")
        ]
        content["receivers"] = [each.document(language) for each in receivers]
        return []
    evidence, failures = await _evidence(question, circumstances)
    receivers = judge(evidence.proof)
    content |= {
        "spf_aligned": evidence.spf.aligned,
        "dkim_aligned": evidence.dkim.aligned,
        "dmarc_policy": evidence.policy.applied if isinstance(evidence.policy, Policy) else None,
        "receivers": [each.document(language) for each in receivers],
    }
    return [_about_alignment(question, evidence, receivers, circumstances), *failures]


async def _evidence(
    question: Question, circumstances: Circumstances
) -> tuple[Evidence, list[Finding]]:
    preset, domain = question.preset, question.address.domain
    spf, dkim, policy = await asyncio.gather(
        spf_through(preset, domain, circumstances),
        dkim_through(preset, domain, circumstances),
        _policy(domain, circumstances),
    )
    if question.own is not None:
        strict = isinstance(policy, Policy) and policy.strict("adkim")
        exact = strict and question.own.domain != domain
        dkim = await dkim_by_relay(question.own, exact, dkim, circumstances)
    failed = {"SPF": spf.failed, "DKIM": dkim.failed, "DMARC": policy is None}
    what = ", ".join(name for name, wrong in failed.items() if wrong)
    language = circumstances.language
    finding_ = finding("sender/dns-failed", Severity.UNKNOWN, language, what=what, domain=domain)
    return Evidence(spf, dkim, policy), [finding_] if what else []


async def _policy(domain: str, circumstances: Circumstances) -> Policy | NoPolicy | None:
    try:
        return await find_policy(domain, circumstances)
    except LookupFailed:
        return None


def _about_alignment(
    question: Question,
    evidence: Evidence,
    receivers: Sequence[Receiver],
    circumstances: Circumstances,
) -> Finding:
    language = circumstances.language
    row = evidence.spf.row
    values = {
        "domain": question.address.domain,
        "id": question.preset.id,
        "name": question.preset.short_name,
        "include": " ".join(row.source.terms) or "-",
        "address": row.address or ", ".join(address for address, _ in row.seen) or "-",
        "hosts": ", ".join(evidence.dkim.hosts) or "-",
        "signed": question.own.domain if question.own is not None else "-",
        "policy": evidence.proof.policy or "-",
    }
    values |= {
        "spf": say(f"sender/{evidence.spf.why}", language, **values),
        "dkim": say(f"sender/{evidence.dkim.why}", language, **values),
    }
    if evidence.aligned:
        severity = Severity.OK if _is_proven(question.preset, evidence) else Severity.INFO
        return finding("sender/sender-aligned", severity, language, **values)
    if evidence.aligned is None:
        return finding("sender/sender-alignment-unknown", Severity.UNKNOWN, language, **values)
    bad = any(each.outcome in ("refused", "spam") for each in receivers)
    severity = Severity.ERROR if bad else Severity.WARNING
    found = finding("sender/sender-not-aligned", severity, language, **values)
    steps = (say(f"sender/{step}", language, **values) for step in _steps(evidence))
    return replace(found, remedy=tuple(steps))


def _is_proven(preset: Preset, evidence: Evidence) -> bool:
    """DNS shows it, or a source that can be opened says it."""
    by_dns = evidence.spf.aligned or evidence.dkim.why in ("dkim-key", "dkim-relay")
    return bool(by_dns) or (preset.dkim is not None and preset.dkim.confirmed)


def _steps(evidence: Evidence) -> Iterator[str]:
    """What may help, the best first: keys of the texts of sender."""
    if evidence.dkim.why in RELAY_STEPS:
        yield RELAY_STEPS[evidence.dkim.why]
    if evidence.dkim.why == "dkim-no-key":
        yield "step-key"
    if evidence.spf.row.source.terms:
        yield "step-spf"
    elif evidence.spf.row.source.needed:
        yield "step-find-addresses"
    if evidence.dkim.why not in RELAY_STEPS:
        yield "step-sign"
    yield "step-rewrite"
