"""The accounts, and a try to log in, as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relay.cli.output import cell, local_time, print_table, reply_text
from relay.cli.session import Session
from relay.delivery.trouble import BY_OPERATOR


def print_accounts(session: Session, accounts: Sequence[dict[str, Any]]) -> None:
    """A table, and below it what somebody has to do."""
    print_table(
        session.text("account.headers").split("|"),
        ([*_name(each), *_state(session, each)] for each in accounts),
    )
    for each in accounts:
        _print_consent(session, each)
        _print_pause(session, each)


def print_test(session: Session, test: dict[str, Any]) -> None:
    """What came of a try to log in, and what to do about it."""
    where = {"username": cell(test["username"]), "host": test["host"], "name": test["smarthost"]}
    if test["refused_because"] is not None:
        key = "account.test.paused-until" if test["paused_until"] else "account.test.paused"
        print(session.text(key, **where, until=local_time(test["paused_until"])))
    elif test["accepted"]:
        values = {"mechanism": test["mechanism"] or "-", "address": test["address"]}
        print(session.text("account.test.accepted", **where, **values))
    else:
        reason = reply_text(test["reply"]) or test["detail"] or test["cause"]
        values = {"phase": test["phase"] or "-", "reason": cell(reason)}
        print(session.text("account.test.failed", **where, **values))
    _print_explanation(test["explanation"])


def login_kind(session: Session, account: dict[str, Any]) -> str:
    """How an account logs in: with a password, or OAuth2 and whose."""
    if account["auth"] != "oauth2":
        return session.text("account.password")
    return f"OAuth2 {str(account['issuer']).capitalize()} ({account['flow']})"


def until_text(session: Session, account: dict[str, Any]) -> str:
    """The day until which it works with the reason in words, or that no end is known."""
    if account["auth"] != "oauth2":
        return _day(session, account["deadline"], session.text("account.until.password"))
    if account["works_until"] is None:
        return session.text("account.unknown")
    return _day(session, local_time(account["works_until"])[:10], account["works_until_why"])


def _day(session: Session, day: str | None, why: str) -> str:
    return f"{day} ({why})" if day else session.text("account.unknown")


def _name(account: dict[str, Any]) -> list[str]:
    return [account["username"], account["host"], ", ".join(account["smarthosts"])]


def _state(session: Session, account: dict[str, Any]) -> list[str]:
    consent = "" if account["auth"] != "oauth2" else f"account.consent.{account['consent']}"
    return [
        login_kind(session, account),
        until_text(session, account),
        session.text(consent) if consent else "",
        local_time(account["refreshed_at"]),
        _used(session, account["usage"]),
        _paused(session, account),
    ]


def _used(session: Session, usage: dict[str, Any] | None) -> str:
    """What the account used of its limits in the last 24 hours."""
    if usage is None:
        return ""
    shown = []
    for key in ("messages", "recipients"):
        limit = usage[key]["limit_now"]
        amount = usage[key]["used"] if limit is None else f"{usage[key]['used']}/{limit}"
        shown.append(session.text(f"account.used.{key}", amount=amount))
    return ", ".join(shown)


def _paused(session: Session, account: dict[str, Any]) -> str:
    if not account["paused"]:
        return ""
    until = local_time(account["paused_until"]) or session.text("account.until-resumed")
    return session.text("account.paused-until", since=local_time(account["paused_at"]), until=until)


def _print_consent(session: Session, account: dict[str, Any]) -> None:
    name = account["smarthosts"][0]
    if account["vault_error"]:
        print(f"\n{cell(account['username'])}: {cell(account['vault_error'])}")
    elif account["consent"] == "needed" and not account["paused"]:
        print()
        print(session.text("account.consent-first", username=cell(account["username"]), name=name))


def _print_pause(session: Session, account: dict[str, Any]) -> None:
    if not account["paused"]:
        return
    reason = reply_text(account["reply"]) or account["cause"]
    if account["cause"] == BY_OPERATOR:
        reason = session.text("account.by-hand", name=account["smarthosts"][0])
    print(f"\n{cell(account['username'])}: {cell(reason)}")
    _print_explanation(account["explanation"])


def _print_explanation(explanation: dict[str, Any] | None) -> None:
    if explanation is None:
        return
    print(f"  {cell(explanation['meaning'])}")
    for number, step in enumerate(explanation["steps"], 1):
        print(f"  {number}. {cell(step)}")
