"""What `relay check --online` finds: connection, certificate and login of each smarthost, what its
account has used up, and whether the clock is right."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from presets.explain import explain
from relay.cli.account_findings import Account, NotTold, ask_accounts
from relay.cli.ask import AnyDesk
from relay.cli.clock import clock_finding
from relay.cli.finding import Finding, Severity, make
from relay.cli.output import local_time, reply_text
from relay.cli.session import Session
from relay.clock import utc_now
from relay.config.model import AuthMethod, Smarthost
from relay.smarthost.connect import ConnectFailure, Connection, Timeouts, connect

_TIMEOUTS = Timeouts(dial=10, greeting=20, command=20)
_DAYS_LEFT_WARNING = 21


async def online_findings(session: Session, force: bool = False) -> list[Finding]:
    """One or two findings for each smarthost, then quotas and the clock; nothing is sent.

    All are reached at once, without a login. Then each account is tested once, by the running
    relay where there is one; not while it is paused, unless `force`.
    """
    smarthosts = session.config.smarthosts
    greetings: list[tuple[str, str, datetime]] = []
    reached = await asyncio.gather(
        *(_reach(session, smarthost, greetings) for smarthost in smarthosts)
    )
    open_ones = [
        each for each, found in zip(smarthosts, reached, strict=True) if found[0].severity == "ok"
    ]
    logins = await _log_in(session, open_ones, force)
    findings: list[Finding] = []
    for smarthost, found in zip(smarthosts, reached, strict=True):
        login = logins.get(smarthost.name)
        findings += found if login is None else [login, *found[1:]]
    return [*findings, *await _quotas(session), clock_finding(session, greetings)]


async def _quotas(session: Session) -> list[Finding]:
    """One for each account with a limit a day: how much of it is used up."""

    async def listed(desk: AnyDesk) -> list[Account]:
        accounts: list[Account] = (await desk.account_list(session.language))["accounts"]
        return accounts

    try:
        accounts = await ask_accounts(session, listed)
    except NotTold:
        return []  # said already, of the logins
    return [
        _quota(session, account, name)
        for account in accounts
        for name in ("messages", "recipients")
        if account["usage"] is not None and account["usage"][name]["limit_now"] is not None
    ]


def _quota(session: Session, account: Account, name: str) -> Finding:
    day = account["usage"][name]
    severity: Severity = "warning" if day["warning"] else "ok"
    values = {"username": account["username"], "host": account["host"]}
    values |= {"used": day["used"], "most": day["limit_now"], "left": day["left"]}
    return make(session, "quota", severity, name, **values)


async def _reach(
    session: Session, smarthost: Smarthost, greetings: list[tuple[str, str, datetime]]
) -> list[Finding]:
    """Connection and certificate, as for a smarthost without a login."""
    plain = replace(smarthost, auth=AuthMethod.NONE)
    result = await connect(plain, session.config.hostname, _TIMEOUTS)
    if isinstance(result, ConnectFailure):
        return [_failure(session, smarthost, result)]
    greetings.append((smarthost.host, result.greeting, utc_now()))
    days_left = _days_left(result)
    address = result.address
    await result.exchange.quit()
    detail = session.text("check.smarthost.open", address=address)
    findings = [_finding(session, smarthost, "ok", detail, {"address": address})]
    if days_left is not None:
        severity: Severity = "ok" if days_left >= _DAYS_LEFT_WARNING else "warning"
        detail = session.text("check.smarthost.certificate", days=days_left)
        certificate = _finding(session, smarthost, severity, detail, {"days_left": days_left})
        findings.append(replace(certificate, id="smarthost-certificate"))
    return findings


async def _log_in(session: Session, smarthosts: list[Smarthost], force: bool) -> dict[str, Finding]:
    """The finding of each smarthost with a login, by its name; an account is tried once."""
    chosen = {each.account: each for each in reversed(smarthosts) if each.account is not None}

    async def test(desk: AnyDesk) -> list[Account]:
        names = [smarthost.name for smarthost in chosen.values()]
        return [await desk.account_test(name, force, session.language) for name in names]

    if not chosen:
        return {}
    with_login = [each for each in smarthosts if each.account is not None]
    try:
        tests = await ask_accounts(session, test)
    except NotTold as error:
        detail = session.text("check.smarthost.not-told", reason=error)
        return {each.name: _finding(session, each, "unknown", detail, {}) for each in with_login}
    by_account = dict(zip(chosen, tests, strict=True))
    found = [(each, by_account[each.account]) for each in with_login if each.account]
    return {each.name: _login(session, each, test) for each, test in found}


def _login(session: Session, smarthost: Smarthost, test: Account) -> Finding:
    evidence = {key: test[key] for key in ("phase", "cause", "address", "paused_until")}
    values = {"address": test["address"], "username": smarthost.username, "name": smarthost.name}
    if test["accepted"]:
        detail = session.text("check.smarthost.login", **values)
        return _finding(session, smarthost, "ok", detail, evidence)
    explanation = test["explanation"] or {"meaning": "", "steps": []}
    remedy = tuple(explanation["steps"])
    if test["refused_because"] is not None:
        until = local_time(test["paused_until"]) or "relay account resume"
        detail = session.text("check.smarthost.paused", **values, until=until)
        remedy += (session.text("check.smarthost.resume", **values),)
        return replace(_finding(session, smarthost, "unknown", detail, evidence), remedy=remedy)
    reason = reply_text(test["reply"]) or test["detail"]
    detail = f"{reason}: {explanation['meaning']}" if explanation["meaning"] else str(reason)
    return replace(_finding(session, smarthost, "error", detail, evidence), remedy=remedy)


def _failure(session: Session, smarthost: Smarthost, failure: ConnectFailure) -> Finding:
    evidence = {"phase": failure.phase.value, "cause": failure.cause, "address": failure.address}
    remedy: tuple[str, ...] = ()
    detail = failure.detail
    if failure.reply is not None:
        found = explain(
            failure.reply,
            provider=smarthost.preset,
            phase=failure.phase,
            language=session.language,
        )
        detail, remedy = f"{failure.reply}: {found.meaning}", found.steps
    return replace(_finding(session, smarthost, "error", detail, evidence), remedy=remedy)


def _finding(
    session: Session,
    smarthost: Smarthost,
    severity: Severity,
    detail: str,
    evidence: Mapping[str, object],
) -> Finding:
    where = {"name": smarthost.name, "host": smarthost.host, "port": smarthost.port}
    title = session.text("check.smarthost", **where)
    return Finding("smarthost", severity, title, detail, (), {**where, **evidence})


def _days_left(connection: Connection) -> int | None:
    certificate = connection.exchange.certificate
    if not certificate:
        return None
    return int((ssl.cert_time_to_seconds(certificate["notAfter"]) - utc_now().timestamp()) // 86400)
