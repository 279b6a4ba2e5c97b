"""The accounts of a relay: paused or not, until when each works, and what it used of its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from diagnose.checks.account_findings import account_findings, password_findings
from diagnose.checks.report_questions import local_time
from diagnose.finding import Document, Examination, Finding, Severity, Table
from diagnose.relay_desk import UNANSWERED, ask_running, ask_stopped, reason_of
from diagnose.relay_state import own_addresses, without_strangers
from diagnose.runner import Circumstances
from diagnose.wording import Language, finding, say
from relay.clock import utc_now
from relay.config.model import Config
from relay.control.accounts import Accounts
from relay.control.client import RemoteDesk
from relay.control.usage import usage_documents

if TYPE_CHECKING:
    from relay.spool.sqlite.still import StillSpool

COMMAND = "relay account list"


async def examine_accounts(config: Config, circumstances: Circumstances) -> Examination:
    """What the relay knows of its accounts; read only, and what cannot be read is unknown."""
    language, seconds = circumstances.language, circumstances.timeout_seconds
    found = list(password_findings(config, language))
    running = True
    try:
        told = await ask_running(config, seconds, lambda desk: _of_running(desk, language))
        if told is None:
            running = False
            told = await ask_stopped(
                config, seconds, lambda spool: _of_file(spool, config, language)
            )
    except UNANSWERED as error:
        found.append(_not_told(reason_of(error, language), language))
        return Examination(COMMAND, str(config.path), found, {"accounts": None})
    if told is None:
        if any(each.oauth2 is not None for each in config.smarthosts):
            found.append(_not_told(say("accounts/never-ran", language), language))
        told = []
    own = set(own_addresses(config))
    accounts = [_masked(each, own) for each in told]
    for each in accounts:
        found += account_findings(each, running, language)
    return Examination(COMMAND, str(config.path), found, {"accounts": accounts})


def accounts_table(accounts: Sequence[Document], language: Language) -> Table:
    """A row for each account."""
    rows = [
        (
            each["username"] or each["smarthosts"][0],
            each["host"],
            _login(each, language),
            _until(each, language),
            *(_used(each, name) for name in ("messages", "recipients")),
            _state(each, language),
        )
        for each in accounts
    ]
    return Table(tuple(say("accounts/headings", language).split("|")), rows)


async def _of_running(desk: RemoteDesk, language: Language) -> list[Document]:
    listed = await desk.account_list(language)
    status = await desk.status()
    return _joined(listed["accounts"], status.get("accounts", []))


async def _of_file(spool: StillSpool, config: Config, language: Language) -> list[Document]:
    now = utc_now()
    listed = await Accounts(spool, config, now).listed(language)
    totals = await spool.queue.totals()
    return _joined(listed["accounts"], await usage_documents(config, spool.ledger, now, totals))


def _joined(accounts: list[Document], usage: list[Document]) -> list[Document]:
    """Smarthosts without a login have limits too."""
    empty: Document = {
        **{"auth": "none", "paused": False, "works_until": None, "explanation": None},
        **{"steps": [], "consent": "not-needed", "vault_error": None, "deadline": None},
    }
    without = [
        {
            **{key: each[key] for key in ("host", "username", "smarthosts")},
            **empty,
            "usage": each,
        }
        for each in usage
        if each["username"] is None
    ]
    return [*accounts, *without]


def _masked(account: Document, own: set[str]) -> Document:
    """Without the addresses of strangers in what the server said."""
    return {**account, "reply": without_strangers(account.get("reply"), own)}


def _not_told(reason: str, language: Language) -> Finding:
    return finding("accounts/accounts-unknown", Severity.UNKNOWN, language, reason=reason)


def _login(account: Document, language: Language) -> str:
    if account["auth"] == "oauth2":
        return f"OAuth2 {str(account['issuer']).capitalize()} ({account['flow']})"
    return say(f"accounts/login-{account['auth']}", language)


def _until(account: Document, language: Language) -> str:
    if account["consent"] == "needed":
        return say("accounts/consent-needed-short", language)
    day = account["works_until"] or account["deadline"]
    if account["auth"] == "oauth2" and (account["vault_error"] or day is None):
        return say("accounts/unknown", language)
    if day is None:
        return ""
    if account["auth"] != "oauth2":
        return f"{day} ({say('accounts/by-default', language)})"
    return f"{local_time(day)[:10]} ({account['works_until_why']})"


def _used(account: Document, name: str) -> str:
    """Used of the limit in force in the last 24 hours, and what is left."""
    usage: dict[str, Any] | None = account["usage"]
    if usage is None:
        return ""
    day = usage[name]
    if day["limit_now"] is None:
        return str(day["used"])
    learned = "*" if day["learned"] else ""
    return f"{day['used']} / {day['limit_now']}{learned} ({day['left']})"


def _state(account: Document, language: Language) -> str:
    if account["paused"]:
        return say("accounts/paused", language, since=local_time(account["paused_at"]))
    return say("accounts/consent-unknown-short", language) if account["vault_error"] else ""
