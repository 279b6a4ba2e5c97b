"""What `relay check` finds about the accounts: consent, passwords and tokens that end soon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from relay.cli.ask import AnyDesk, NoAnswer, NoSpool, consult
from relay.cli.finding import Finding, make
from relay.cli.output import local_time
from relay.cli.session import Session
from relay.clock import utc_now
from relay.control.account_documents import password_deadline
from relay.control.client import ApiError, Silent
from relay.control.daemon import Offline
from relay.control.desk import Desk
from relay.spool.errors import SpoolError
from relay.spool.sqlite import open_spool

ENDS_SOON = timedelta(days=14)

Account = dict[str, Any]


class NotTold(Exception):
    """Neither a relay nor its spool tells anything of the accounts; the reason in the user's words."""


async def ask_accounts(
    session: Session, action: Callable[[AnyDesk], Awaitable[list[Account]]]
) -> list[Account]:
    """As `relay.cli.ask.consult`; before the first start over an empty spool that is thrown away.

    Raises NotTold.
    """
    try:
        return await consult(session, action)
    except NoSpool:
        return await _over_nothing(session, action)
    except ApiError as error:
        raise NotTold(error.text(session.language)) from error
    except (NoAnswer, Silent, SpoolError, OSError) as error:
        raise NotTold(str(error)) from error
    except typer.Exit as error:
        raise NotTold(session.text("check.account.no-answer")) from error


async def _over_nothing(
    session: Session, action: Callable[[AnyDesk], Awaitable[list[Account]]]
) -> list[Account]:
    with TemporaryDirectory() as directory:
        spool = open_spool(Path(directory) / "spool.db", utc_now, session.config.spool.secret_key)
        try:
            return await action(Desk(spool, Offline(session.config, spool), utc_now))
        finally:
            await spool.close()


def account_findings(session: Session) -> list[Finding]:
    """A finding for each account that needs attention soon; nothing is dialled."""
    found = [*_passwords(session)]
    if not any(smarthost.oauth2 for smarthost in session.config.smarthosts):
        return found

    async def accounts(desk: AnyDesk) -> list[Account]:
        listed: list[Account] = (await desk.account_list(session.language))["accounts"]
        return listed

    try:
        told = asyncio.run(ask_accounts(session, accounts))
    except NotTold as error:
        return [*found, make(session, "accounts", "unknown", "not-told", reason=error)]
    oauth2 = [account for account in told if account["auth"] == "oauth2"]
    return [*found, *(finding for account in oauth2 for finding in _tokens(session, account))]


def _passwords(session: Session) -> Iterator[Finding]:
    """Accounts whose provider ends passwords: once for each, whichever smarthosts name it."""
    seen = set()
    for smarthost in session.config.smarthosts:
        day = password_deadline(smarthost)
        if day is not None and smarthost.account not in seen:
            seen.add(smarthost.account)
            values = {"username": smarthost.username, "name": smarthost.name, "day": day}
            yield make(session, "account", "warning", "password", **values, host=smarthost.host)


def _tokens(session: Session, account: Account) -> Iterator[Finding]:
    values = {key: account[key] for key in ("username", "host")}
    values["name"] = account["smarthosts"][0]
    if account["vault_error"]:
        yield make(session, "account", "error", "vault", **values, reason=account["vault_error"])
    elif account["consent"] == "needed":
        yield make(session, "account", "warning", "consent", **values, flow=account["flow"])
    until = account["works_until"]
    if until is not None and datetime.fromisoformat(until) <= utc_now() + ENDS_SOON:
        case = f"ends-{account['works_until_reason']}"
        day, why = local_time(until)[:10], account["works_until_why"]
        yield make(session, "account", "warning", case, **values, day=day, why=why)
