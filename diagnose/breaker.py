"""Whether the relay has paused an account: then its provider has heard a wrong login often enough.

Read only: a running relay is asked over its API, the file of a stopped one is only looked at.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from diagnose.finding import Document, Finding, Severity
from diagnose.relay_desk import UNANSWERED, ask_running, ask_stopped, reason_of
from diagnose.wording import Language, finding, say
from relay.clock import utc_now
from relay.config.model import Config, Smarthost
from relay.control.account_documents import explain_pause
from relay.control.client import RemoteDesk
from relay.control.documents import pause_document
from relay.delivery.trouble import BY_OPERATOR

if TYPE_CHECKING:
    from relay.spool.sqlite.still import StillSpool


async def pause_of(
    config: Config, smarthost: Smarthost, language: Language, seconds: float
) -> Finding | None:
    """A finding of severity unknown where the account is paused, or nobody can tell; else None."""
    if smarthost.account is None:
        return None
    try:
        found = await _entry(config, smarthost, language, seconds)
    except UNANSWERED as error:
        return pause_unknown(error, smarthost, language)
    if found is None or not _is_paused(found):
        return None
    return paused_finding(found, smarthost, language)


def pause_unknown(error: Exception, smarthost: Smarthost, language: Language) -> Finding:
    """Neither a relay nor its file tells: no login is tried."""
    reason = reason_of(error, language)
    return finding(
        "auth/pause-unknown", Severity.UNKNOWN, language, reason=reason, name=smarthost.name
    )


def paused_finding(entry: Document, smarthost: Smarthost, language: Language) -> Finding:
    """That the login was left alone; `entry` is of `account list`, or tells a pause as it does."""
    until = entry["paused_until"]
    explanation = entry["explanation"] or {"meaning": "", "steps": []}
    told = finding(
        "auth/account-paused",
        Severity.UNKNOWN,
        language,
        username=smarthost.username,
        host=smarthost.host,
        name=smarthost.name,
        since=entry["paused_at"] or "-",
        until=until or say("auth/until-resumed", language, name=smarthost.name),
        cause=entry["cause"],
        meaning=explanation["meaning"],
    )
    if entry["cause"] == BY_OPERATOR:
        resume = say("auth/resume", language, name=smarthost.name)
        return replace(told, detail=say("auth/paused-by-hand", language), remedy=(resume,))
    if smarthost.oauth2 is not None:  # no password to be put right
        remedy = (*explanation["steps"], told.remedy[-1])
        return replace(told, detail=explanation["meaning"], remedy=remedy)
    return told


async def _entry(
    config: Config, smarthost: Smarthost, language: Language, seconds: float
) -> Document | None:
    """The account in the relay's list. Raises what asking raises."""

    async def running(desk: RemoteDesk) -> Document:
        return await desk.account_list(language)

    async def stopped(spool: StillSpool) -> Document | None:
        paused = await spool.ledger.paused()
        found = [each for each in paused if (each.host, each.username) == smarthost.account]
        if not found:
            return None
        explanation = explain_pause(smarthost, found[0], language)
        return {"paused": True, **pause_document(found[0]), "explanation": explanation}

    listed = await ask_running(config, seconds, running)
    if listed is None:
        return await ask_stopped(config, seconds, stopped)
    return account_in(listed["accounts"], smarthost)


def account_in(entries: list[Document], smarthost: Smarthost) -> Document | None:
    """The one of this smarthost's account."""
    accounts = (each for each in entries if (each["host"], each["username"]) == smarthost.account)
    return next(accounts, None)


def _is_paused(entry: Document) -> bool:
    until = entry["paused_until"]
    return entry["paused"] and (until is None or datetime.fromisoformat(until) > utc_now())
