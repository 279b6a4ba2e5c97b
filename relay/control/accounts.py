"""The logins at the smarthosts, and which of them are paused after a refusal."""

from __future__ import annotations

from dataclasses import dataclass

from relay.config.model import Config
from relay.control import documents
from relay.control.documents import Document, document
from relay.control.errors import Declined
from relay.spool.model import BlockedBy
from relay.spool.protocol import Ledger


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the configuration; an account is (host, username)."""

    ledger: Ledger
    config: Config

    async def listed(self, language: str) -> Document:
        """Each account with its smarthosts, and why it is paused where it is."""
        paused = {(each.host, each.username): each for each in await self.ledger.paused()}
        entries = []
        for (host, username), smarthosts in self._by_account().items():
            pause = paused.get((host, username))
            provider = documents.provider_of(self.config, smarthosts[0])
            reply = pause.reply if pause else None
            entries.append(
                {
                    "host": host,
                    "username": username,
                    "smarthosts": smarthosts,
                    "paused": pause is not None,
                    **documents.pause_document(pause),
                    "explanation": documents.explanation_document(
                        reply, provider, "auth", language
                    ),
                }
            )
        return document("account list", accounts=entries)

    async def resume(self, name: str) -> Document:
        """End the pauses of the accounts that `name` means: a smarthost's, or a user name."""
        chosen = {
            account: smarthosts
            for account, smarthosts in self._by_account().items()
            if name == account[1] or name in smarthosts
        }
        if not chosen:
            raise Declined(
                f"er is geen smarthost of account {name}; zie relay account list",
                f"there is no smarthost or account {name}; see relay account list",
            )
        resumed: list[Document] = []
        unchanged: list[Document] = []
        lanes = await self.ledger.lanes()
        for (host, username), smarthosts in chosen.items():
            ended = await self.ledger.resume(host, username)
            for smarthost in smarthosts:
                lane = lanes.get(smarthost)
                if lane and lane.block and lane.block.by is BlockedBy.ACCOUNT:
                    await self.ledger.unblock(smarthost)
            (resumed if ended else unchanged).append({"host": host, "username": username})
        return document("account resume", resumed=resumed, unchanged=unchanged)

    def _by_account(self) -> dict[tuple[str, str], list[str]]:
        accounts: dict[tuple[str, str], list[str]] = {}
        for smarthost in self.config.smarthosts:
            if smarthost.account is not None:
                accounts.setdefault(smarthost.account, []).append(smarthost.name)
        return accounts
