"""The three questions that support asks first, answered by evidence, and the verdict for an owner.

The questions are those of AccountView's own help on mail that no longer leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from diagnose.checks.report_history import Change, Past
from diagnose.finding import Document, Examination, Finding, Severity, Verdict
from diagnose.relay_state import moment
from diagnose.wording import Language, say

Answer = Literal["yes", "no", "unknown"]

QUESTIONS = ("password-changed", "program-updated", "server-changed")


@dataclass(frozen=True, slots=True)
class Question:
    """One question with its answer; `evidence` is a sentence that says how that is known."""

    id: str
    question: str
    answer: Answer
    evidence: str

    def document(self) -> Document:
        return {
            "id": self.id,
            "question": self.question,
            "answer": self.answer,
            "evidence": self.evidence,
        }


def questions(past: Past | None, language: Language) -> list[Question]:
    """All three. Without a past that is remembered nothing can be answered."""
    if past is None or past.worked_until is None:
        return [_answered(id_, "unknown", "no-past", {}, language) for id_ in QUESTIONS]
    until = local_time(past.worked_until)
    return [_password(past, until, language), *_updates(past, until, language)]


def _password(past: Past, until: str, language: Language) -> Question:
    change = past.changed("secret-file")
    values = {"name": past.smarthost, "until": until}
    if change is not None:
        values["at"] = local_time(change.at)
        return _answered("password-changed", "yes", "secret-changed", values, language)
    if past.oauth2:
        return _answered("password-changed", "unknown", "secret-oauth2", values, language)
    if "secret-file" not in past.compared:
        return _answered("password-changed", "unknown", "secret-unknown", values, language)
    # At the provider it may have been changed all the same: then the login is refused.
    explanation = (past.first_failure or {}).get("explanation") or {}
    if explanation.get("scope") == "account":
        return _answered("password-changed", "unknown", "secret-same-refused", values, language)
    return _answered("password-changed", "no", "secret-same", values, language)


def _updates(past: Past, until: str, language: Language) -> list[Question]:
    values: dict[str, Any] = {"name": past.smarthost, "until": until}
    version = past.changed("version")
    if version is not None:
        values |= {"before": version.before, "after": version.after}
        program = _answered("program-updated", "yes", "version-changed", values, language)
    else:
        evidence = "version-same" if "version" in past.compared else "version-unknown"
        program = _answered("program-updated", "unknown", evidence, values, language)
    moved = [each for each in past.changes if each.what in ("address", "certificate")]
    if moved:
        changes = "; ".join(change_text(each, language) for each in moved)
        server = _answered("server-changed", "yes", "server-moved", {"changes": changes}, language)
    elif {"address", "certificate"} <= past.compared:
        server = _answered("server-changed", "no", "server-same", values, language)
    else:
        server = _answered("server-changed", "unknown", "server-unknown", values, language)
    return [program, server]


def _answered(
    id_: str, answer: Answer, evidence: str, values: dict[str, Any], language: Language
) -> Question:
    return Question(
        id_,
        say(f"report/question-{id_}", language),
        answer,
        say(f"report/evidence-{evidence}", language, **values),
    )


def change_text(change: Change, language: Language) -> str:
    """A change in words."""
    values = {"before": _shown(change.before), "after": _shown(change.after)}
    at = say("report/at", language, at=local_time(change.at)) if change.at else ""
    return say(f"report/change-{change.what}", language, at=at, **values).strip()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('issuer') or '?'}, {str(value.get('not_after') or '?')[:10]}"
    return str(value or "-")


def local_time(text: str | None) -> str:
    """A time as this computer's clock shows it."""
    found = moment(text)
    return "-" if found is None else found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def verdict_text(found: Examination, past: Past | None, language: Language) -> str:
    """One paragraph for the owner: what is wrong, since when, what changed, what to do first."""
    told = []
    worst = worst_finding(found.findings)
    failure = past.first_failure if past is not None else None
    if past is not None and failure is not None:
        told.append(_story(past, failure, language))
        if past.changes:
            changes = "; ".join(change_text(each, language) for each in past.changes)
            told.append(say("report/verdict-changes", language, changes=changes))
        explanation = failure["explanation"]
        steps = explanation["steps"] if explanation else worst.remedy if worst else ()
    else:
        place = f"report/verdict-{found.verdict.value}"
        told.append(say(place, language, title=worst.title if worst else ""))
        steps = worst.remedy if worst and found.verdict is not Verdict.PASS else ()
    if steps:
        told.append(say("report/verdict-step", language, step=steps[0]))
    return " ".join(told)


def _story(past: Past, failure: Document, language: Language) -> str:
    explanation, reply = failure["explanation"], failure["reply"]
    if explanation:
        meaning = explanation["meaning"]
    elif reply:
        meaning = reply["text"]
    else:
        meaning = say("report/no-reply", language, phase=failure["phase"] or "-")
    values = {"name": past.smarthost, "since": local_time(failure["at"]), "meaning": meaning}
    if past.worked_until is None:
        return say("report/verdict-never", language, **values)
    return say("report/verdict-failing", language, until=local_time(past.worked_until), **values)


def worst_finding(findings: Sequence[Finding]) -> Finding | None:
    """The first of the worst kind: error, then unknown, then warning; None where all is well."""
    for severity in (Severity.ERROR, Severity.UNKNOWN, Severity.WARNING):
        found = next((each for each in findings if each.severity is severity), None)
        if found is not None:
            return found
    return None
