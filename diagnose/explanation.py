"""`diagnose explain`: what a reply means."""

from __future__ import annotations

from diagnose.finding import Examination, Finding, Severity
from diagnose.render import explanation_lines, text
from presets.explain import Phase, explain
from presets.reply import Reply, sanitise


def examine(reply: str, provider: str | None, phase: str | None, language: str) -> Examination:
    """The explanation of `reply`; verdict unknown where only its code could be explained."""
    found = explain(
        reply, provider=provider, phase=Phase(phase) if phase else None, language=language
    )
    parsed = Reply.parse(reply)
    if found.known:
        positive = parsed is not None and parsed.positive
        finding = Finding(
            found.cause,
            Severity.OK if positive else Severity.INFO,
            found.meaning,
            remedy=found.steps,
            reference=found.source,
        )
    else:
        finding = Finding(
            found.cause,
            Severity.UNKNOWN,
            text("explain.only-code", language),
            found.meaning,
            found.steps,
        )
    content = {
        "cause": found.cause,
        "scope": found.scope.value,
        "retry": found.retry.value,
        "provider": found.provider,
        "meaning": found.meaning,
        "steps": list(found.steps),
    }
    lines = tuple(explanation_lines(content, language))
    return Examination("explain", sanitise(reply), [finding], content, lines=lines)
