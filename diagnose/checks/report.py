"""All examinations of a configuration or a domain as one, with the past and the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import relay
from diagnose.addresses import look_up
from diagnose.checks.report_accounts import COMMAND, accounts_table, examine_accounts
from diagnose.checks.report_history import Now, Past, certificate_now, most_telling, past_of
from diagnose.checks.report_parts import (
    Done,
    Part,
    Wishes,
    parts_of_config,
    parts_of_domain,
    run_parts,
)
from diagnose.checks.report_questions import (
    Question,
    change_text,
    local_time,
    questions,
    verdict_text,
    worst_finding,
)
from diagnose.domain import Domain
from diagnose.finding import Document, Examination, Finding, Severity, Table
from diagnose.relay_state import RelayState, StateUnknown, relay_state
from diagnose.runner import Circumstances
from diagnose.wording import Language, finding, say
from presets.reply import Reply
from relay.config.model import Config


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `examination` is the whole, as text and JSON show it."""

    examination: Examination
    parts: tuple[Done, ...]
    past: Past | None
    questions: tuple[Question, ...]
    verdict_text: str
    tables: tuple[tuple[str, Table], ...] = ()
    """Those of the whole, each with the name of its heading."""


async def report_config(
    config: Config, notes: Sequence[Finding], wishes: Wishes, circumstances: Circumstances
) -> Report:
    """Everything about the relay's configuration, its own past included."""
    language = circumstances.language
    states: list[RelayState] = []
    addresses: dict[str, tuple[str, ...]] = {}

    async def look(host: str, own: Circumstances) -> None:
        addresses[host] = tuple(each.text for each in (await look_up(host, own)).addresses)

    async def state(own: Circumstances) -> Examination:
        hosts = {each.host for each in config.smarthosts}
        await asyncio.gather(*(look(host, own) for host in hosts))
        try:
            found = await relay_state(config, own.timeout_seconds)
        except StateUnknown as error:
            told = finding("report/relay-unknown", Severity.UNKNOWN, language, reason=str(error))
            return Examination("relay status", str(config.path), [told])
        states.append(found)
        return _of_state(found, config, language)

    target = str(config.path)

    async def accounts(own: Circumstances) -> Examination:
        return await examine_accounts(config, own)

    parts = [
        Part("relay status", target, state),
        # A login may pause an account, or end a pause: what it did is to be seen.
        Part(COMMAND, target, accounts, after="auth"),
        *parts_of_config(config, wishes, language),
    ]
    done = await run_parts(parts, circumstances)
    pasts: list[Past] = []
    for smarthost in config.smarthosts if states else ():
        own = [each.document() for each in done if each.part.smarthost == smarthost.name]
        now = Now(
            certificate_now(iter(own)),
            addresses.get(smarthost.host, ()),
            states[0].version or relay.__version__,
        )
        pasts.append(past_of(smarthost, states[0], now, language))
    found = [*notes, *(one for past in pasts for one in _of_past(past, language))]
    return _joined(target, found, done, pasts, language)


async def report_domain(domain: Domain, wishes: Wishes, circumstances: Circumstances) -> Report:
    """Everything about a domain, without any relay."""
    done = await run_parts(parts_of_domain(domain, wishes), circumstances)
    return _joined(domain.name, list(domain.notes), done, [], circumstances.language)


def _joined(
    target: str,
    findings: Sequence[Finding],
    done: Sequence[Done],
    pasts: Sequence[Past],
    language: Language,
) -> Report:
    past = most_telling(pasts)
    asked = questions(past, language)
    every = _once([*findings, *(one for each in done for one in each.examination.findings)])
    whole = Examination("report", target, every)
    told = verdict_text(whole, past, language)
    history = None
    if past is not None:
        history = {**past.document(), "smarthosts": [each.document() for each in pasts]}
    content = {
        "verdict_text": told,
        "history": history,
        "questions": [each.document() for each in asked],
        "parts": [each.document() for each in done],
    }
    tables = [("parts", parts_table(done, language))]
    accounts = _accounts(done)
    if accounts:
        tables.append(("accounts", accounts_table(accounts, language)))
    if past is not None:
        tables.append(("questions", questions_table(asked, language)))
    shown = [table for _, table in tables]
    whole = replace(whole, content=content, lines=(told, ""), tables=shown)
    return Report(whole, tuple(done), past, tuple(asked), told, tuple(tables))


def _accounts(done: Sequence[Done]) -> list[Document]:
    """As the relay tells them; none where it did not."""
    told = (each.examination.content for each in done if each.part.command == COMMAND)
    return next(told, {}).get("accounts") or []


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Without those that two parts found alike."""
    found: dict[tuple[str, str, str], Finding] = {}
    for each in findings:
        found.setdefault((each.id, each.title, each.detail), each)
    return list(found.values())


def parts_table(done: Sequence[Done], language: Language) -> Table:
    """A row for each part, with its worst finding."""
    rows = []
    for each in done:
        worst = worst_finding(each.examination.findings)
        verdict = each.examination.verdict.value
        rows.append((each.part.command, each.part.target, verdict, worst.title if worst else ""))
    return Table(tuple(say("report/headings-parts", language).split("|")), rows)


def questions_table(asked: Sequence[Question], language: Language) -> Table:
    """The three questions with their answers."""
    rows = [
        (each.question, say(f"report/{each.answer}", language), each.evidence) for each in asked
    ]
    return Table(tuple(say("report/headings-questions", language).split("|")), rows)


def _of_state(state: RelayState, config: Config, language: Language) -> Examination:
    path = str(config.path)
    found = []
    if not state.ran:
        found.append(finding("report/relay-never-ran", Severity.INFO, language, config=path))
    elif state.running is False:
        found.append(finding("report/relay-not-running", Severity.ERROR, language, config=path))
    elif state.running:
        version = state.version or "-"
        found.append(finding("report/relay-running", Severity.OK, language, version=version))
    content = {"running": state.running, **state.content}
    keys = ("name", "queued", "worked_until", "failing_since", "blocked_by")
    rows = [[each.get(key) for key in keys] for each in state.content.get("smarthosts", [])]
    shown = Table(tuple(say("report/headings-state", language).split("|")), rows)
    return Examination("relay status", path, found, content, [shown] if rows else [])


def _of_past(past: Past, language: Language) -> Iterable[Finding]:
    """What the past of one smarthost says, and each thing that changed since."""
    until = local_time(past.worked_until)
    values = {"name": past.smarthost, "until": until}
    if past.first_failure is not None:
        yield _failing(past, until, language)
    elif past.worked_until is None:
        yield finding("report/no-history", Severity.INFO, language, name=past.smarthost)
    else:
        yield finding("report/works", Severity.OK, language, **values)
    severity = Severity.WARNING if past.first_failure is not None else Severity.INFO
    for change in past.changes:
        words = change_text(change, language)
        evidence = {**values, "change": words, **change.document()}
        yield finding("report/changed-since", severity, language, **evidence)


def _failing(past: Past, until: str, language: Language) -> Finding:
    failure = past.first_failure or {}
    said, explanation = failure["reply"], failure["explanation"]
    reply = Reply(said["code"], said["enhanced"], said["text"]) if said else None
    told = finding(
        "report/failing" if past.worked_until else "report/never-worked",
        # What is refused for now may pass by itself; what stands in the way now, other parts say.
        Severity.ERROR if reply is not None and reply.permanent else Severity.WARNING,
        language,
        name=past.smarthost,
        until=until,
        since=local_time(failure["at"]),
        reply=str(reply) if reply else say("report/no-reply", language, phase=failure["phase"]),
        meaning=explanation["meaning"] if explanation else "",
    )
    return replace(told, remedy=tuple(explanation["steps"])) if explanation else told
