"""What is found of each account: paused, a login that ends, a limit that is nearly used up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from diagnose.checks.report_questions import local_time
from diagnose.finding import Document, Finding, Severity
from diagnose.relay_state import moment
from diagnose.wording import Language, finding, say
from presets.catalog import catalog
from presets.names import UnknownPreset
from relay.clock import utc_now
from relay.config.model import Config, Smarthost
from relay.control.account_documents import password_deadline
from relay.delivery.trouble import BY_OPERATOR

ENDS_SOON = timedelta(days=14)


def password_findings(config: Config, language: Language) -> Iterator[Finding]:
    """Accounts with a password at a provider that ends them; known without asking anybody."""
    seen = set()
    for smarthost in config.smarthosts:
        day = password_deadline(smarthost)
        if day is None or smarthost.account in seen:
            continue
        seen.add(smarthost.account)
        yield _password(smarthost, day.isoformat(), language)


def _password(smarthost: Smarthost, day: str, language: Language) -> Finding:
    try:
        preset = catalog().resolve(smarthost.preset or smarthost.host).preset
    except UnknownPreset:  # then there would be no day
        raise AssertionError(smarthost.name) from None
    made = finding(
        "accounts/password-ends",
        Severity.WARNING,
        language,
        username=smarthost.username,
        name=smarthost.name,
        provider=preset.short_name,
        day=day,
    )
    sources = preset.password_end.sources if preset.password_end else ()
    reference = next((f"{each.title} {each.address}" for each in sources if each.openable), None)
    return replace(made, detail=preset.status.text.get(language), reference=reference)


def account_findings(account: Document, running: bool, language: Language) -> Iterator[Finding]:
    """Of one entry of `account list`; tokens that a stopped relay's file keeps shut are unknown."""
    values = {
        "username": account["username"] or account["smarthosts"][0],
        "host": account["host"],
        "name": account["smarthosts"][0],
    }
    if account["paused"]:
        yield _paused(account, values, language)
    elif account["auth"] == "oauth2":
        yield _tokens(account, values, running, language)
    yield from _quota(account["usage"], values, language)


def _paused(account: Document, values: Document, language: Language) -> Finding:
    explanation = account["explanation"] or {"meaning": account["cause"], "steps": []}
    until = moment(account["paused_until"])
    if until is None:
        key = "try-by-hand"
    else:
        key = "try-at" if until > utc_now() else "try-due"
    told = finding(
        "accounts/account-is-paused",
        Severity.ERROR,
        language,
        **values,
        since=local_time(account["paused_at"]),
        paused_until=account["paused_until"],
        cause=account["cause"],
        meaning=explanation["meaning"],
        next_try=say(f"accounts/{key}", language, at=local_time(account["paused_until"])),
    )
    if account["cause"] == BY_OPERATOR:
        by_hand = say("auth/paused-by-hand", language)
        resume = say("auth/resume", language, name=values["name"])
        return replace(told, detail=by_hand, remedy=(resume,))
    return replace(told, remedy=(*explanation["steps"], *told.remedy))


def _tokens(account: Document, values: Document, running: bool, language: Language) -> Finding:
    """Until when the login works; an error where somebody must act first."""
    if account["vault_error"]:
        severity = Severity.ERROR if running else Severity.UNKNOWN
        reason = account["vault_error"]
        return finding("accounts/tokens-unreadable", severity, language, **values, reason=reason)
    if account["consent"] == "needed":
        return finding("accounts/consent-needed", Severity.ERROR, language, **values)
    until, reason = moment(account["works_until"]), account["works_until_reason"]
    told = {
        **values,
        "day": local_time(account["works_until"])[:10],
        "why": account["works_until_why"],
        "reason": reason,
        "consented_at": account["consented_at"],
        "refreshed_at": account["refreshed_at"],
    }
    if until is None:
        return finding("accounts/end-unknown", Severity.INFO, language, **told)
    if until > utc_now() + ENDS_SOON:
        return finding("accounts/works-until", Severity.OK, language, **told)
    # The other ends are not sure: a published app, a login that is used.
    over = until <= utc_now() and reason in ("certificate", "secret")
    severity = Severity.ERROR if over else Severity.WARNING
    step = say(f"accounts/step-{reason}", language, name=values["name"])
    return replace(finding("accounts/ends-soon", severity, language, **told), remedy=(step,))


def _quota(usage: Document | None, values: Document, language: Language) -> Iterator[Finding]:
    """Limits of a day that are nearly used up, and all that the provider taught."""
    if usage is None:
        return
    for name in ("messages", "recipients"):
        day = usage[name]
        if day["warning"]:
            yield _nearly_used(name, usage, values, language)
    for name, limit in usage.items():
        lesson = limit.get("learned") if isinstance(limit, dict) else None
        if lesson is not None:
            yield _learned(name, limit, values, language)


def _nearly_used(name: str, usage: Document, values: Document, language: Language) -> Finding:
    day, empty_at = usage[name], usage["empty_at"]
    told = finding(
        "accounts/quota-nearly-used",
        Severity.WARNING,
        language,
        **values,
        what=say(f"accounts/{name}", language),
        used=day["used"],
        most=day["limit_now"],
        left=day["left"],
        empty_at=empty_at,
    )
    if empty_at is None:
        return told
    empty = say("accounts/empty-at", language, at=local_time(empty_at))
    return replace(told, detail=f"{told.detail} {empty}")


def _learned(name: str, limit: Document, values: Document, language: Language) -> Finding:
    return finding(
        "accounts/limit-learned",
        Severity.INFO,
        language,
        **values,
        limit=name,
        configured=_number(limit["limit"]),
        now=limit["learned"]["limit"],
        at=local_time(limit["learned"]["at"]),
    )


def _number(limit: int | None) -> str:
    return "-" if limit is None else str(limit)
