"""One worker of a lane: one connection, and one message after another over it.

While a message is on its way, the outcome of the one before is recorded and, over a connection that
has just passed one, the next is claimed.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime

from presets.verdict import Scope
from relay.delivery.account import Account
from relay.delivery.claims import Claims
from relay.delivery.errand import Errand
from relay.delivery.lane import Lane, Shortcut
from relay.delivery.outcome import Blame, Judgement
from relay.delivery.packing import PackedAhead
from relay.delivery.recording import at_last, seen_through
from relay.delivery.tools import TOO_MANY_CONNECTIONS
from relay.delivery.trouble import Trouble
from relay.smarthost import ahead
from relay.smarthost.connect import ConnectFailure, Connection, connect
from relay.smarthost.wire import Outgoing
from relay.spool.errors import SpoolError
from relay.spool.ledger_entry import BlockedBy
from relay.spool.model import Claim

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0  # after a spool that refused
_IDLE_SECONDS = 5.0  # a connection without mail is kept this long
_MOST_TRANSACTIONS = 100  # on one connection
_FAIR_TRANSACTIONS = 20  # on one connection while another lane of the account waits for it
_BLAMES = {
    Scope.ACCOUNT: Blame.ACCOUNT,
    Scope.QUOTA: Blame.QUOTA,
}
_BLOCKS = {
    Blame.QUOTA: BlockedBy.QUOTA,
    Blame.ACCOUNT: BlockedBy.ACCOUNT,
    Blame.SMARTHOST: BlockedBy.SMARTHOST,
}


class Worker:
    """See the module. It ends when it is no longer needed, or the lane stops."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.tools = lane.tools
        self._smarthost = lane.smarthost  # that the connection was made for
        self._connection: Connection | None = None
        self._account: Account | None = None  # whose connection it is
        self._slot: Account | None = None  # of whose connections one is taken
        self._passed = False  # a message has just passed over this connection
        self._claims = Claims(lane)
        self._packing: asyncio.Task[PackedAhead | None] | None = None  # of the message after
        self._recording: asyncio.Task[None] | None = None  # the outcome of the message before

    async def run(self) -> None:
        """Deliver one message after another over one connection, until nothing is left."""
        try:
            while not self.lane.stopping:
                if self._connection is not None and not self._reusable():
                    await self._part()
                if self._must_part():
                    return
                errand = await self._next()
                if errand is None:
                    return
                await self._deliver(errand)
                await self.tools.budget.save(self.lane.account)
        except asyncio.CancelledError:
            if self._recording is not None:
                await at_last(self._recording)
            raise
        finally:
            await self._wind_up()

    async def _wind_up(self) -> None:
        """Nothing that was begun is left over."""
        try:
            await self._recorded()
        finally:
            await self._packed_ahead()
            await self._part()
            self._give_slot_back()
            await self._claims.close()

    async def _recorded(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            await seen_through(recording)

    def _must_part(self) -> bool:
        """The account has too many connections, or another lane of it waits for one."""
        account, connection = self._account, self._connection
        if account is None or connection is None:
            return False
        fewer = account.connections + account.elsewhere > account.limits().max_connections
        long_enough = connection.used >= _FAIR_TRANSACTIONS
        return fewer or (long_enough and bool(account.starved_by(self.lane.smarthost.name)))

    def _reusable(self) -> bool:
        """Good for another message to the smarthost, which a reload may have changed."""
        connection = self._connection
        return (
            connection is not None
            and connection.exchange.usable
            and connection.used < _MOST_TRANSACTIONS
            and self._for_this_lane
        )

    @property
    def _for_this_lane(self) -> bool:
        made_for, now = self._smarthost, self.lane.smarthost
        return made_for is now or made_for == now

    # --- The next message ---

    async def _next(self) -> Errand | None:
        """The next message with a connection for it; None: this worker is no longer needed."""
        if self._connection is not None:
            packed = await self._packed_ahead()
            errand = await self._claims.claimed_ahead()
            if errand is not None:
                return errand if packed is None else replace(errand, packed=packed)
            if self._connection.begun is None:
                return await self._claim_patiently()
            await self._part()
        lane = self.lane
        async with self.tools.blocks.turn(lane.smarthost):
            # Only now: whoever had the turn before may have found that nothing gets through.
            account = lane.account
            full = account.connections >= account.limits().max_connections
            if full or lane.connected >= lane.most_workers():
                return None
            if not await self._take_slot(account):
                return None
            account.hungry.pop(lane.smarthost.name, None)
            errand = await self._claims.claim()
            if errand is None or not await self._guarded(errand, self._connect(errand)):
                self._give_slot_back()
                return None
        lane.woken.set()  # where there is one there may be more: another worker looks
        return errand

    async def _claim_patiently(self) -> Errand | None:
        """The next message, with a little patience for one to come, as the connection is warm."""
        loop, lane = asyncio.get_running_loop(), self.lane
        deadline, roused = loop.time() + _IDLE_SECONDS, False
        while not self._must_part():
            # Before the claim: asked after it, a pace that has just passed would look like none.
            pace = lane.account.wait().total_seconds()
            # Where a limit divides messages, the rest of one is due, and nobody tells.
            looks = roused or lane.worth_a_claim or lane.account.limits().counted
            errand = await self._claims.claim() if looks else None
            left = deadline - loop.time()
            if errand is not None:
                if not lane.idle:
                    lane.look_soon()
                return errand
            if left <= 0 or lane.stopping or self._is_idle_for_long():
                return None
            if not (looks and lane.worth_a_claim and self._claims.may_leave()):
                rested = await lane.rest(min(left, pace or left))
                roused = bool(rested)
                if isinstance(rested, Claim):
                    given = await self._claims.given(rested)
                    if given is not None:
                        return given
        return None

    def _is_idle_for_long(self) -> bool:
        """No mail of this lane leaves soon, or that of another has more use of the connection."""
        account, smarthost = self.lane.account, self.lane.smarthost
        blocked = self.tools.blocks.blocked(smarthost) is not None
        return blocked or 0 in account.room() or bool(account.starved_by(smarthost.name))

    # --- The connection ---

    async def _guarded(self, errand: Errand, work: Coroutine[None, None, bool]) -> bool:
        """The result of `work`; where it fails, or is cancelled, the claim is not lost."""
        done = False
        try:
            done = await work
        except BaseException as error:
            await self.tools.courier.give_up(errand.claim, self.lane.smarthost, error)
            raise
        finally:
            if not done:
                errand.allowance.close()
        return done

    async def _connect(self, errand: Errand) -> bool:
        """Connect for this claim; where that fails it is given back."""
        tools, smarthost = self.tools, self.lane.smarthost
        hostname = tools.courier.config.hostname
        found = await connect(smarthost, hostname, tools.timeouts, tools.tokens)
        if isinstance(found, ConnectFailure):
            await self._no_connection(errand.claim, found)
            return False
        self._connection, self._smarthost, self._passed = found, smarthost, False
        self._account = tools.budget.of(smarthost)
        self.lane.connected += 1
        self._account.connections += 1
        await tools.sightings.note(smarthost.name, found)
        return True

    async def _reconnect(self, errand: Errand) -> bool:
        """A new connection for a claim whose warm one is of no use any more."""
        await self._part()
        account, smarthost = self.lane.account, self.lane.smarthost
        async with self.tools.blocks.turn(smarthost):
            full = account.connections >= account.limits().max_connections
            blocked = self.tools.blocks.blocked(smarthost) is not None
            if full or blocked or not await self._take_slot(account):
                await self.lane.put_back(errand.claim)
                return False
            return await self._connect(errand)

    async def _take_slot(self, account: Account) -> bool:
        """One of the connections that all nodes have together; `_give_slot_back` must follow."""
        self._give_slot_back()
        try:
            taken = await account.take_connection()
        except SpoolError as error:
            log.error("lane %s: no connection: %s", self.lane.smarthost.name, error)
            await asyncio.sleep(_PAUSE_SECONDS)
            return False
        if taken:
            self._slot = account
        return taken

    def _give_slot_back(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.give_connection_back()

    async def _part(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.exchange.quit()
            finally:
                # Only now: the server must never count one more than it allows.
                self.lane.connected -= 1
                self._give_slot_back()
                if self._account is not None:
                    self._account.connections -= 1
                    starved = self._account.starved_by(self.lane.smarthost.name)
                    self.tools.courier.wake(starved)
        await self._claims.forgo()

    async def _no_connection(self, claim: Claim, failure: ConnectFailure) -> None:
        lane, tools, smarthost = self.lane, self.tools, self.lane.smarthost
        others = lane.account.connections + lane.account.elsewhere
        if others and failure.cause == TOO_MANY_CONNECTIONS:
            await tools.fewer_connections(smarthost)
            await tools.courier.recorder.put_back(claim)
            lane.wake()
            return
        if lane.connected and failure.reply is not None and failure.reply.transient:
            # The others work: it wants fewer of them at once.
            lane.take_fewer()
            await tools.courier.recorder.put_back(claim)
            lane.wake()
            return
        blame = _BLAMES.get(failure.scope, Blame.SMARTHOST)
        await tools.courier.give_back(claim, smarthost, failure, blame)
        alarm = failure.scope in (Scope.TLS, Scope.SERVICE) and not _passing(failure)
        trouble = Trouble(_BLOCKS[blame], failure.cause, failure.reply, failure.detail, alarm)
        await tools.block(smarthost, blame, trouble)

    # --- The attempt ---

    async def _deliver(self, errand: Errand) -> None:
        """Attempt one claim, if need be over a new connection."""
        courier, delivered = self.tools.courier, None
        try:
            while delivered is None:
                if not self._ready() and not await self._guarded(errand, self._reconnect(errand)):
                    return
                connection = self._connection
                assert connection is not None
                if self._passed and self._sends_soon(errand.claim):
                    self._look_ahead(connection)
                if self.lane.avoids(Shortcut.CHUNKING):
                    connection.capabilities = replace(connection.capabilities, chunking=False)
                began = self.tools.clock()
                delivered = await courier.deliver(
                    connection, errand, self._smarthost, self._following
                )
                self._heed_shortcuts(connection)
        finally:
            errand.allowance.close(None if delivered is None else delivered.recording)
        await self._recorded()
        self._recording = delivered.recording
        await self._heed(delivered.judgement, began)
        if delivered.recording is None:
            self.lane.mail_came()  # what is deferred waits again

    def _heed_shortcuts(self, connection: Connection) -> None:
        """What the server could not do, the next connection does not try."""
        if connection.chunking_failed and connection.capabilities.chunking:
            self.lane.avoid(Shortcut.CHUNKING)
        if connection.ahead_failed and not self.lane.avoids(Shortcut.AHEAD):
            self.lane.avoid(Shortcut.AHEAD)

    def _look_ahead(self, connection: Connection) -> None:
        """Claim the next message; get it ready too where it may begin before this one ends."""
        self._claims.look_ahead()
        if ahead.bears(connection) and not self.lane.avoids(Shortcut.AHEAD):
            self._packing = asyncio.create_task(self._pack_ahead(connection))

    async def _pack_ahead(self, connection: Connection) -> PackedAhead | None:
        claim = await self._claims.peek()
        if claim is None:
            return None
        try:
            return await self.tools.courier.pack_ahead(claim, self._smarthost, connection)
        except Exception:
            # It fails again when its turn comes, and is heeded then.
            log.debug("%s was not made ready ahead", claim.message, exc_info=True)
            return None

    async def _packed_ahead(self) -> PackedAhead | None:
        packing, self._packing = self._packing, None
        return None if packing is None else await packing

    async def _following(self) -> Outgoing | None:
        """The next message that will leave over this connection, if it is ready soon."""
        packing, connection = self._packing, self._connection
        if packing is None or connection is None:
            return None
        await asyncio.wait([packing], timeout=ahead.patience_seconds(connection))
        if not packing.done() or packing.cancelled():
            return None
        ready = packing.result()
        if ready is None or not self._for_this_lane or self._must_part():
            return None
        return ready.packed.outgoing if self._claims.may_leave() else None

    def _sends_soon(self, claim: Claim) -> bool:
        """`claim` is soon sent, as it is small, and the connection good for another."""
        used = 0 if self._connection is None else self._connection.used
        return claim.body is not None and used + 1 < _MOST_TRANSACTIONS

    def _ready(self) -> bool:
        """False: the server ended the connection while it was idle, or a reload changed where mail
        goes."""
        connection = self._connection
        return connection is not None and (not connection.used or self._reusable())

    async def _heed(self, judgement: Judgement, began: datetime) -> None:
        """What a judgement says about the lane: something is in the way, or nothing is."""
        worst, tools, connection = judgement.worst, self.tools, self._connection
        assert connection is not None
        self._passed = worst is None and judgement.passes
        if worst is not None:
            detail = str(worst.reply or worst.cause)
            alarm = worst.cause == "daily-quota"
            trouble = Trouble(_BLOCKS[worst.blame], worst.cause, worst.reply, detail, alarm)
            await tools.block(self._smarthost, worst.blame, trouble)
        elif judgement.passes:
            await tools.blocks.learn_size(self._smarthost, connection.capabilities.size_bytes)
            if await tools.blocks.works(self._smarthost, began):
                await tools.blocks_changed()


def _passing(failure: ConnectFailure) -> bool:
    """The server says so; or the issuer of tokens is out of order, or asks for patience."""
    if failure.reply is None:
        return failure.cause.startswith("token-")
    return failure.reply.transient
