"""What `relay setup` tries before it writes: ports, connection, TLS, login, consent, a test message."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.cli.account_login import chosen_way, obtain
from relay.cli.finding import Finding, Severity, verdict
from relay.cli.findings import is_held, port_findings
from relay.cli.online import online_findings
from relay.cli.output import reply_text
from relay.cli.session import Session
from relay.cli.texts import parts
from relay.clock import utc_now
from relay.config.load import load
from relay.config.model import AuthMethod
from relay.control.errors import Declined
from relay.control.test_message import Wanted
from relay.setup.questions import NOBODY, Situation
from relay.setup.trial import keep_grant, kept_grant, on_trial, send_test_message
from relay.smarthost.tokens import NoToken
from relay.spool.errors import SpoolError

if TYPE_CHECKING:
    from relay.config.model import Config
    from relay.spool.vault_entry import Grant

Account = tuple[str | None, ...]
"""What a consent was given for."""


@dataclass(slots=True)
class Trial:
    """What came of trying. `grant` is the consent that the relay to come shall have."""

    findings: list[Finding] = field(default_factory=list)
    test_message: dict[str, Any] | None = None
    grant: Grant | None = None
    consented_for: Account = ()

    @property
    def verdict(self) -> str:
        """fail, unknown, warn or pass."""
        return verdict(self.findings)


def try_out(staged: Path, at: Situation, before: Trial, *, unattended: bool) -> Trial:
    """Try the staged configuration. A consent of `before` counts again where it still fits.

    Raises ConfigError: the answers make no good file. KeyboardInterrupt passes.
    """
    config = load(staged)
    session = Session(replace(on_trial(config, staged.parent), language=at.language), False)
    trial = Trial([_warning(session, fault) for fault in config.warnings])
    trial.findings += port_findings(session, is_held(config.spool.path))
    if config.smarthosts[0].oauth2 is not None:
        consent = _consent(session, before, unattended=unattended)
        trial.grant, trial.consented_for = consent.grant, consent.consented_for
        trial.findings += consent.findings
        if trial.grant is None:
            trial.findings += map(_without_clock, asyncio.run(online_findings(_no_login(session))))
            return trial
    trial.findings += map(_without_clock, asyncio.run(online_findings(session)))
    wanted = at.answers["test_to"]
    if wanted != NOBODY and trial.verdict not in ("fail", "unknown"):
        finding, trial.test_message = _test_message(session, at, wanted)
        trial.findings.append(finding)
    if trial.grant is not None:
        trial.grant = asyncio.run(kept_grant(session.config, utc_now)) or trial.grant
    return trial


def _no_login(session: Session) -> Session:
    """For connection and certificate alone."""
    (smarthost,) = session.config.smarthosts
    plain = replace(smarthost, auth=AuthMethod.NONE, username=None, oauth2=None)
    return replace(session, config=replace(session.config, smarthosts=(plain,)))


def _without_clock(finding: Finding) -> Finding:
    """A clock that is wrong is told, but no answer would set it right."""
    wrong = finding.id == "clock" and finding.severity == "error"
    return replace(finding, severity="warning") if wrong else finding


def _warning(session: Session, fault: Any) -> Finding:
    title = session.text("check.configuration")
    return Finding("configuration", "warning", title, fault.text(session.language))


def _consent(session: Session, before: Trial, *, unattended: bool) -> Trial:
    """Have somebody consent, or the app prove itself; put it into the trial's spool."""
    smarthost = session.config.smarthosts[0]
    oauth2, username = smarthost.oauth2, smarthost.username or ""
    assert oauth2 is not None
    values = {"username": username, "name": smarthost.name}
    if oauth2.interactive and unattended:
        return Trial([setup_finding(session, "consent", "warning", "later", **values)])
    account = (username, oauth2.flow, oauth2.client_id, oauth2.tenant, oauth2.authority)
    trial = Trial(grant=before.grant, consented_for=account)
    if before.grant is None or before.consented_for != account:
        way = chosen_way((oauth2.flow == "device", False, False))
        outcome = obtain(session, (oauth2, username), way)
        if isinstance(outcome, NoToken):
            return Trial([_no_consent(session, outcome)])
        trial.grant = outcome.grant
    assert trial.grant is not None
    asyncio.run(keep_grant(session.config, smarthost.name, trial.grant, utc_now))
    trial.findings.append(setup_finding(session, "consent", "ok", "good", **values))
    return trial


def _no_consent(session: Session, why: NoToken) -> Finding:
    from presets.verdict import Scope
    from relay.account.refusal import meaning, steps

    smarthost = session.config.smarthosts[0]
    assert smarthost.oauth2 is not None
    username, language = smarthost.username or "", session.language
    told = meaning(why.cause, language) or why.cause
    todo = tuple(steps(why.cause, smarthost.oauth2, username, language))
    severity: Severity = "error" if why.scope is Scope.ACCOUNT else "unknown"
    title = session.text("setup.consent", username=username)
    return Finding("consent", severity, title, f"{told} ({why.detail})", todo, {"cause": why.cause})


def _test_message(
    session: Session, at: Situation, to: str
) -> tuple[Finding, dict[str, Any] | None]:
    sender = at.answers["address"]
    wanted = Wanted(to=to, sender=sender, language=at.language, occasion="setup")
    try:
        found = asyncio.run(send_test_message(session.config, wanted, utc_now))
    except Declined as error:
        return _tested(session, "error", "refused", to, error.text(at.language)), None
    except (SpoolError, OSError) as error:
        return _tested(session, "unknown", "waits", to, str(error)), None
    last = found["attempts"][-1] if found["attempts"] else {}
    reply = reply_text(last.get("reply")) or found["waiting_for"] or "-"
    if found["state"] == "delivered":
        taken_by = str(last.get("smarthost"))
        return _tested(session, "ok", "delivered", to, reply, smarthost=taken_by), found
    if found["state"] == "queued":
        finding = _tested(session, "unknown", "waits", to, reply)
    else:
        finding = _tested(session, "error", "refused", to, reply)
    explanation = last.get("explanation") or {"meaning": "", "steps": []}
    detail = ": ".join(filter(None, (finding.detail, explanation["meaning"])))
    return replace(finding, detail=detail, remedy=tuple(explanation["steps"])), found


def _tested(
    session: Session, severity: Severity, case: str, to: str, reply: str, **values: str
) -> Finding:
    return setup_finding(session, "test", severity, case, to=to, reply=reply, **values)


def setup_finding(
    session: Session, id_: str, severity: Severity, case: str, **values: str
) -> Finding:
    """A finding with the texts `setup.ID` and `setup.ID.CASE` (detail|remedy|..)."""
    detail, *remedy = parts(f"setup.{id_}.{case}", session.language, **values)
    title = session.text(f"setup.{id_}", **values)
    return Finding(id_, severity, title, detail, tuple(remedy), dict(values))


def service_directory(config: Config) -> Path | None:
    """The directory whose owner the service runs as, where root sets it up for somebody."""
    path = config.spool.path
    if os.name == "nt" or path is None or os.geteuid() != 0:
        return None
    return path.parent if path.parent.is_dir() else None
