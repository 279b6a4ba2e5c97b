"""Why a server is not ready for mail, or does not take it: as findings, with the reply explained."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from diagnose.account import Chosen
from diagnose.dialogue import Dialogue
from diagnose.finding import Document, Finding, Severity
from diagnose.wording import Language, finding
from presets.explain import Phase, explain
from presets.reply import Reply, sanitise
from presets.verdict import Scope
from relay.control.documents import explanation_document

# What the relay's connection code finds wrong without a reply, by its cause, and our wording.
_UNSAFE = {
    "certificate-not-trusted": "auth/not-trusted",
    "starttls-not-offered": "auth/no-starttls",
    "public-without-tls": "auth/in-clear",
    "login-in-clear": "auth/in-clear",
}
_CHALLENGE_KEYS = 20
_CONTINUE = 334  # RFC 4954 section 4: the server wants to hear more


def refusal(
    place: str, reply: Reply, phase: Phase, chosen: Chosen, language: Language, /, **evidence: Any
) -> Finding:
    """The finding `place` for a refusal: its meaning as the detail, its steps as the remedy."""
    found = explain(reply, provider=chosen.smarthost.preset, phase=phase, language=language)
    told = {"cause": found.cause, "scope": found.scope.value, "retry": found.retry.value}
    made = finding(
        place, Severity.ERROR, language, reply=str(reply), phase=phase.value, **told, **evidence
    )
    return replace(made, detail=found.meaning, remedy=found.steps, reference=found.source)


def explained(
    reply: Reply | None, phase: Phase, chosen: Chosen, language: Language
) -> Document | None:
    """What a refusal means; None for no reply, a positive one, or one that is no verdict."""
    if reply is not None and reply.code == _CONTINUE:
        return None
    return explanation_document(reply, chosen.smarthost.preset, phase.value, language)


def no_connection(dialogue: Dialogue, chosen: Chosen, language: Language) -> Finding:
    """Why `dialogue` has no connection: refused, unsafe (errors), or not reached (unknown)."""
    failure, smarthost = dialogue.failure, chosen.smarthost
    assert failure is not None
    where: dict[str, Any] = {
        "host": smarthost.host,
        "port": smarthost.port,
        "target": chosen.server,
    }
    if failure.reply is not None:
        if failure.phase is not Phase.AUTH:
            return refusal(
                "auth/server-refused", failure.reply, failure.phase, chosen, language, **where
            )
        where |= {
            "username": dialogue.concealed(smarthost.username or ""),
            "mechanism": dialogue.mechanism,
        }
        if failure.reply.code == _CONTINUE:
            where["challenge"] = _challenge(failure.reply)
            return finding("auth/login-challenged", Severity.ERROR, language, **where)
        return refusal(
            "auth/login-refused", failure.reply, failure.phase, chosen, language, **where
        )
    where |= {"cause": failure.cause, "detail": failure.detail}
    if failure.cause == "no-common-mechanism":
        offered = ", ".join(dialogue.mechanisms_offered) or "-"
        place = "auth/no-xoauth2" if smarthost.oauth2 is not None else "auth/no-mechanism"
        return finding(place, Severity.ERROR, language, offered=offered, **where)
    if failure.scope is Scope.TLS and not dialogue.timed_out:
        place = _UNSAFE.get(failure.cause, "auth/tls-failed")
        return finding(place, Severity.ERROR, language, **where)
    where |= {"phase": failure.phase.value}
    return finding("auth/not-reached", Severity.UNKNOWN, language, **where)


def _challenge(reply: Reply) -> dict[str, str] | str:
    """What a server says in base64 where a verdict is due: XOAUTH2's JSON, or a text."""
    try:
        text = base64.b64decode(reply.text, validate=True).decode()
    except ValueError:
        return str(reply)
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return sanitise(text)
    kept = list(said.items())[:_CHALLENGE_KEYS]
    return {sanitise(str(key), 100): sanitise(str(value), 500) for key, value in kept}
