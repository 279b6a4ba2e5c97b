"""What `relay check --online` finds: connection, certificate and login of each smarthost."""

from __future__ import annotations

import asyncio
import ssl

from presets.explain import explain
from relay.cli.findings import Finding, Severity
from relay.cli.session import Session
from relay.clock import utc_now
from relay.config.model import Smarthost
from relay.smarthost.connect import ConnectFailure, Connection, Timeouts, connect

_TIMEOUTS = Timeouts(dial=10, greeting=20, command=20)
_DAYS_LEFT_WARNING = 21


async def online_findings(session: Session) -> list[Finding]:
    """One or two findings for each smarthost, all asked at once; nothing is sent."""
    asked = [_smarthost(session, smarthost) for smarthost in session.config.smarthosts]
    return [finding for findings in await asyncio.gather(*asked) for finding in findings]


async def _smarthost(session: Session, smarthost: Smarthost) -> list[Finding]:
    result = await connect(smarthost, session.config.hostname, _TIMEOUTS)
    where = {"name": smarthost.name, "host": smarthost.host, "port": smarthost.port}
    title = session.text("check.smarthost", **where)
    if isinstance(result, ConnectFailure):
        return [_failure(session, smarthost, result, title)]
    days_left = _days_left(result)
    address = result.address
    await result.exchange.quit()
    key = "check.smarthost.login" if smarthost.username else "check.smarthost.open"
    detail = session.text(key, address=address, username=smarthost.username)
    findings = [Finding("smarthost", "ok", title, detail, (), {**where, "address": address})]
    if days_left is not None:
        severity: Severity = "ok" if days_left >= _DAYS_LEFT_WARNING else "warning"
        detail = session.text("check.smarthost.certificate", days=days_left)
        evidence = {**where, "days_left": days_left}
        findings.append(Finding("smarthost-certificate", severity, title, detail, (), evidence))
    return findings


def _failure(
    session: Session, smarthost: Smarthost, failure: ConnectFailure, title: str
) -> Finding:
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
    return Finding("smarthost", "error", title, detail, remedy, evidence)


def _days_left(connection: Connection) -> int | None:
    certificate = connection.exchange.certificate
    if not certificate:
        return None
    return int((ssl.cert_time_to_seconds(certificate["notAfter"]) - utc_now().timestamp()) // 86400)
