"""What all lanes share, and how they act together on what stands in mail's way."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.config.model import Smarthost
from relay.delivery.account import Account
from relay.delivery.blocks import Blocks
from relay.delivery.budget import USED_UP, Budget
from relay.delivery.courier import Courier
from relay.delivery.learned import Kind, retry_hint
from relay.delivery.outcome import Blame
from relay.delivery.pacing import MINUTE
from relay.delivery.sightings import Sightings
from relay.delivery.trouble import Trouble
from relay.smarthost.connect import STANDARD_TIMEOUTS, Timeouts
from relay.smarthost.tokens import Tokens

TOO_MANY_CONNECTIONS = "too-many-connections"
_HOUR = timedelta(hours=1)
_LONGEST = {"rate-limit": _HOUR, "daily-quota": timedelta(hours=24)}


@dataclass(slots=True)
class Tools:
    """What all lanes share."""

    courier: Courier
    blocks: Blocks
    budget: Budget
    sightings: Sightings
    tokens: Tokens
    clock: Callable[[], datetime]
    blocks_changed: Callable[[], Awaitable[None]]  # failover may want to move mail
    timeouts: Timeouts = STANDARD_TIMEOUTS

    async def block(self, smarthost: Smarthost, blame: Blame, trouble: Trouble) -> None:
        """Trouble that is not one message's: the lane waits, or the account with all its lanes."""
        if blame is Blame.ACCOUNT:
            await self.blocks.refused(smarthost, trouble)
        elif blame is Blame.QUOTA:
            account = self.budget.of(smarthost)
            others = account.connections + account.elsewhere - 1
            delay = learn(account, trouble, others, await account.shares.recent(account.key))
            await self.budget.save(account)
            if delay is None:
                return
            await self.blocks.too_much(smarthost, trouble, delay)
        else:
            await self.blocks.failed(smarthost, trouble)
        await self.blocks_changed()

    async def used_up(self, smarthost: Smarthost) -> None:
        """By our own ledger nothing may leave now: its account waits until there is room."""
        until = self.budget.of(smarthost).exhausted_until()
        if until is not None:
            await self.blocks.used_up(smarthost, until, USED_UP)
            await self.blocks_changed()

    async def fewer_connections(self, smarthost: Smarthost) -> None:
        """The server took no further connection, while the account has others."""
        account = self.budget.of(smarthost)
        account.lesson(Kind.CONNECTIONS, account.connections + account.elsewhere)
        await self.budget.save(account)


def learn(account: Account, trouble: Trouble, others: int, elsewhere: int = 0) -> timedelta | None:
    """Lower the limit that a refusal is about; how long the account has to wait.

    None: not at all, as fewer connections will do; `others` are those beside the refused one.
    `elsewhere` is how many messages other nodes sent in the last minute.
    """
    now, cause, hint = account.clock(), trouble.cause, retry_hint(trouble.reply)
    wait = hint or (_HOUR if cause == "daily-quota" else MINUTE)
    if cause == TOO_MANY_CONNECTIONS:
        kept = others < account.limits().max_connections
        account.lesson(Kind.CONNECTIONS, max(others, 1), kept=kept)
        return None if others > 0 else wait
    if cause == "rate-limit":
        account.lesson(Kind.PER_MINUTE, account.pace.recent(now) + elsewhere - 1)
    elif cause == "daily-quota":
        kind = account.fullest(trouble.reply.text if trouble.reply else "")
        account.lesson(kind, account.used_of(kind))
    return min(max(wait, MINUTE), _LONGEST.get(cause, _HOUR))
