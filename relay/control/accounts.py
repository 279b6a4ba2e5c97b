"""The logins at the smarthosts: how each logs in, until when that works, and which are paused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from relay.config.model import Config, Smarthost
from relay.control import documents
from relay.control.account_documents import At, consent_document, explain_pause, login_document
from relay.control.documents import Document, document
from relay.control.errors import Declined
from relay.control.usage import usage_documents
from relay.delivery.pauses import by_login
from relay.spool.errors import SpoolError, VaultError
from relay.spool.ledger_entry import BlockedBy, PausedAccount
from relay.spool.protocol import Spool
from relay.spool.sharing import AccountKey
from relay.spool.vault_entry import Grant


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the configuration at the moment `now`; an account is (host, username)."""

    spool: Spool
    config: Config
    now: datetime

    async def listed(self, language: str) -> Document:
        """Each account with its smarthosts, its consent, what it used, and why it is paused."""
        paused = {(each.host, each.username): each for each in await self.spool.ledger.paused()}
        totals = await self.spool.queue.totals()
        usage = await usage_documents(self.config, self.spool.ledger, self.now, totals)
        used = {(each["host"], each["username"]): each for each in usage}
        entries = []
        for account, smarthosts in by_login(self.config.smarthosts).items():
            entry = await self._entry(smarthosts, paused.get(account), language)
            entries.append({**entry, "usage": used.get(account)})
        return document("account list", accounts=entries)

    async def resume(self, name: str) -> Document:
        """End the pauses of the accounts that `name` means: a smarthost's, or a user name."""
        resumed: list[Document] = []
        unchanged: list[Document] = []
        for smarthost in self.meant(name):
            host, username = smarthost.account or ("", "")
            ended = await self.end_pause((host, username))
            (resumed if ended else unchanged).append({"host": host, "username": username})
        return document("account resume", resumed=resumed, unchanged=unchanged)

    async def end_pause(self, account: AccountKey) -> bool:
        """The ledger pauses the account no more, nor its lanes; False if it did not before."""
        ended = await self.spool.ledger.resume(*account)
        lanes = await self.spool.ledger.lanes()
        for smarthost in by_login(self.config.smarthosts).get(account, []):
            lane = lanes.get(smarthost.name)
            if lane and lane.block and lane.block.by is BlockedBy.ACCOUNT:
                await self.spool.ledger.unblock(smarthost.name)
        return ended

    def meant(self, name: str) -> list[Smarthost]:
        """The accounts that a smarthost's name or a user name means, one smarthost for each.

        Raises Declined: there is none.
        """
        chosen = []
        for account, smarthosts in by_login(self.config.smarthosts).items():
            named = [each for each in smarthosts if each.name == name]
            if named or name == account[1]:
                chosen.append((named or smarthosts)[0])
        if not chosen:
            raise Declined(
                f"er is geen smarthost of account {name}; zie relay account list",
                f"there is no smarthost or account {name}; see relay account list",
            )
        return chosen

    def one_meant(self, name: str) -> Smarthost:
        """The one account that `name` means. Raises Declined: none, or several."""
        chosen = self.meant(name)
        if len(chosen) > 1:
            names = ", ".join(smarthost.name for smarthost in chosen)
            raise Declined(
                f"{name} staat bij meer dan een server; noem de smarthost: {names}",
                f"{name} is at more than one server; name the smarthost: {names}",
            )
        return chosen[0]

    async def _entry(
        self, smarthosts: list[Smarthost], pause: PausedAccount | None, language: str
    ) -> Document:
        first = smarthosts[0]
        explanation = explain_pause(first, pause, language)
        return {
            "host": first.host,
            "username": first.username,
            "smarthosts": [each.name for each in smarthosts],
            **login_document(first),
            **await self._consent(first, pause, language),
            "paused": pause is not None,
            **documents.pause_document(pause),
            "explanation": explanation,
            "steps": explanation["steps"] if explanation else [],
        }

    async def _consent(
        self, smarthost: Smarthost, pause: PausedAccount | None, language: str
    ) -> Document:
        """What the vault has; `vault_error` says why it cannot be told."""
        grant: Grant | None = None
        error: str | None = None
        if smarthost.oauth2 is not None and smarthost.account is not None:
            try:
                grant = await self.spool.vault.grant(*smarthost.account)
            except VaultError as failure:
                error = failure.text(language)
            except SpoolError as failure:
                error = str(failure)
        # It reads a certificate, which may be anywhere.
        found = await asyncio.to_thread(
            consent_document, smarthost, grant, pause, At(self.now, language)
        )
        if error is not None:
            found["consent"] = "unknown"
        return {**found, "vault_error": error}
