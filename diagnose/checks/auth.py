"""One login, once, as the relay would do it; and what the server's answer means."""

from __future__ import annotations

from diagnose.account import Chosen, login_is_oauth2
from diagnose.breaker import pause_of
from diagnose.dialogue import Dialogue, open_dialogue
from diagnose.finding import Document, Examination, Finding, Severity, Table
from diagnose.refusal import explained, no_connection
from diagnose.relay_login import CONTENT, RelayLogin, log_in_by_relay
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.wording import Language, finding, say
from presets.explain import Phase
from presets.reply import Reply
from relay.control.documents import reply_document

_PARTING_SECONDS = 5


async def examine_login(
    chosen: Chosen, circumstances: Circumstances, *, force: bool = False
) -> Examination:
    """The login of `chosen`, tried once: by the running relay whose configuration joined, which
    counts it, else from here. With `force` also where the relay has paused it.
    """
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
        by_relay = await log_in_by_relay(chosen, circumstances, force=force)
        if by_relay is not None:
            content.update({key: (by_relay.test or content)[key] for key in CONTENT})
            tables.extend(_relay_table(by_relay, language))
            return [by_relay.finding]
        obstacle = await obstacle_to(chosen, circumstances, force=force)
        if obstacle is not None:
            return [obstacle]
        dialogue = await open_dialogue(chosen.smarthost, chosen.hostname, circumstances)
        if dialogue.connection is not None:
            seconds = min(circumstances.timeout_seconds, _PARTING_SECONDS)
            await dialogue.connection.exchange.quit(seconds)
        content.update(_content(dialogue, chosen, language))
        tables.append(steps_table(dialogue, language))
        return [_verdict(dialogue, chosen, language), *untold(dialogue, chosen, language)]

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
        of_relay = chosen.config is not None and smarthost.oauth2 is not None
        place = "auth/token-needs-relay" if of_relay else "auth/oauth2"
        where = {"host": smarthost.host, "target": chosen.server, "name": smarthost.name}
        return finding(place, Severity.UNKNOWN, language, **where)
    if chosen.config is None or force:
        return None
    return await pause_of(chosen.config, smarthost, language, circumstances.timeout_seconds)


def untold(dialogue: Dialogue, chosen: Chosen, language: Language) -> list[Finding]:
    """That the relay does not know of the login that was tried here, where there is a relay."""
    config, smarthost = chosen.config, chosen.smarthost
    spool = None if config is None else config.spool.path
    if dialogue.mechanism is None or spool is None or not spool.exists():
        return []
    name = chosen.smarthost.name
    values = {"name": name, "username": dialogue.concealed(smarthost.username or "")}
    return [finding("auth/relay-not-told", Severity.INFO, language, **values)]


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


def _relay_table(login: RelayLogin, language: Language) -> list[Table]:
    """The relay tells its login as one step."""
    test = login.test
    if test is None or not test["tested"]:
        return []
    said = test["reply"]
    reply = "" if said is None else str(Reply(said["code"], said["enhanced"], said["text"]))
    milliseconds = f"{test['seconds'] * 1000:.1f}"
    step = " ".join(filter(None, ("relay", test["address"])))
    headings = tuple(say("auth/steps", language).split("|"))
    return [Table(headings, [(step, milliseconds, reply)])]


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
