"""`diagnose explain`: what a reply means."""

from __future__ import annotations

from diagnose.finding import Document, Examination, Finding, Severity
from diagnose.render import explanation_lines, text
from presets.explain import Explanation, Phase, explain_text, old_advice
from presets.reply import Reply, sanitise


def examine(pasted: str, provider: str | None, phase: str | None, language: str) -> Examination:
    """The explanation of `pasted`; verdict unknown where only its code could be explained."""
    found, reply = explain_text(
        pasted, provider=provider, phase=Phase(phase) if phase else None, language=language
    )
    shown = sanitise(pasted)
    findings = [_known(found, reply, shown) if found.known else _unknown(found, reply, language)]
    advice = old_advice(pasted, language=language)
    if advice is not None and advice.cause != found.cause:
        findings.append(_known(advice, None, shown))
    content = explanation_document(found)
    lines = tuple(explanation_lines(content, language))
    return Examination("explain", shown, findings, content, lines=lines)


def explanation_document(found: Explanation) -> Document:
    """The keys of an explanation, as the document of `explain` and of other commands holds them."""
    return {
        "cause": found.cause,
        "scope": found.scope.value,
        "retry": found.retry.value,
        "provider": found.provider,
        "meaning": found.meaning,
        "steps": list(found.steps),
    }


def _known(found: Explanation, reply: Reply | None, shown: str) -> Finding:
    """In a longer text the detail tells which reply it is about."""
    coded = reply is not None and reply.code
    return Finding(
        found.cause,
        Severity.OK if reply is not None and reply.positive else Severity.INFO,
        found.meaning,
        detail=str(reply) if coded and str(reply) != shown else "",
        remedy=found.steps,
        evidence=_evidence(reply),
        reference=found.source,
    )


def _unknown(found: Explanation, reply: Reply, language: str) -> Finding:
    if not (reply.code or reply.enhanced):
        return Finding(found.cause, Severity.UNKNOWN, found.meaning, remedy=found.steps)
    return Finding(
        found.cause,
        Severity.UNKNOWN,
        text("explain.only-code", language),
        found.meaning,
        found.steps,
        _evidence(reply),
        found.source,
    )


def _evidence(reply: Reply | None) -> Document:
    if reply is None or not (reply.code or reply.enhanced):
        return {}
    return {"code": reply.code or None, "enhanced": reply.enhanced, "text": reply.text}
