"""One login, once, as the relay would do it; and what the server's answer means."""

from __future__ import annotations

from diagnose.account import Chosen, login_is_oauth2
from diagnose.breaker import pause_of
from diagnose.dialogue import Dialogue, open_dialogue
from diagnose.finding import Document, Examination, Finding, Severity, Table
from diagnose.refusal import explained, no_connection
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.wording import Language, finding, say
from presets.explain import Phase
from relay.control.documents import reply_document

_PARTING_SECONDS = 5


async def examine_login(
    chosen: Chosen, circumstances: Circumstances, *, force: bool = False
) -> Examination:
    """The login of `chosen`, tried once. With `force` also where the relay has paused it."""
    language = circumstances.language
    content: Document = {
        "mechanism": None,
        "mechanisms_offered": [],
        "accepted": False,
        "reply": None,
        "explanation": None,
    }
    tables: list[Table] = []

    async def log_in() -> list[Finding]:
        obstacle = await obstacle_to(chosen, circumstances, force=force)
        if obstacle is not None:
            return [obstacle]
        dialogue = await open_dialogue(chosen.smarthost, chosen.hostname, circumstances)
        if dialogue.connection is not None:
            seconds = min(circumstances.timeout_seconds, _PARTING_SECONDS)
            await dialogue.connection.exchange.quit(seconds)
        content.update(_content(dialogue, chosen, language))
        tables.append(steps_table(dialogue, language))
        return [_verdict(dialogue, chosen, language)]

    name = f"{chosen.smarthost.host}:{chosen.smarthost.port}"
    findings = await run_checks([Check(name, log_in)], circumstances)
    return Examination("auth", chosen.target, [*chosen.findings, *findings], content, tables)


async def obstacle_to(
    chosen: Chosen, circumstances: Circumstances, *, force: bool
) -> Finding | None:
    """Why the login of `chosen` must not be tried, before anything is dialled; None if it may."""
    smarthost, language = chosen.smarthost, circumstances.language
    if smarthost.username is None:
        return None
    if login_is_oauth2(smarthost):
        return finding(
            "auth/oauth2", Severity.UNKNOWN, language, host=smarthost.host, target=chosen.server
        )
    if chosen.config is None or force:
        return None
    return await pause_of(chosen.config, smarthost, language, circumstances.timeout_seconds)


def steps_table(dialogue: Dialogue, language: Language) -> Table:
    """The steps, for people."""
    rows = [
        (
            " ".join(filter(None, (step.name, step.address))),
            f"{step.milliseconds:.1f}",
            "" if step.reply is None else str(step.reply),
        )
        for step in dialogue.steps
    ]
    return Table(tuple(say("auth/steps", language).split("|")), rows)


def _content(dialogue: Dialogue, chosen: Chosen, language: Language) -> Document:
    failure = dialogue.failure
    reply = dialogue.login_reply if failure is None else failure.reply
    phase = Phase.AUTH if failure is None else failure.phase
    return {
        "mechanism": dialogue.mechanism,
        "mechanisms_offered": list(dialogue.mechanisms_offered),
        "accepted": failure is None,
        "reply": reply_document(reply),
        "explanation": explained(reply, phase, chosen, language),
    }


def _verdict(dialogue: Dialogue, chosen: Chosen, language: Language) -> Finding:
    if dialogue.failure is not None:
        return no_connection(dialogue, chosen, language)
    return finding(
        "auth/login-accepted",
        Severity.OK,
        language,
        host=chosen.smarthost.host,
        username=dialogue.concealed(chosen.smarthost.username or ""),
        mechanism=dialogue.mechanism,
        reply=str(dialogue.login_reply),
    )
