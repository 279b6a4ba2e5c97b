"""Several nodes in one process: each with the database open by itself, and what it keeps in mind.

    async with FleetRig(store, [rig_smarthost(fake)], 3) as rig:
        await rig.accept(30)
        await rig.quiet()

The clock is the real one, as the nodes rely on the server's.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from fakes.delivery_rig import CONTENT
from fakes.stores import PostgresStore

from relay.clock import utc_now
from relay.config.model import Config, Smarthost, Spool
from relay.config.secret import SecretRef
from relay.delivery.dispatcher import Dispatcher
from relay.envelope import Envelope, Recipient
from relay.fleet import Fleet, Follower
from relay.smarthost.connect import Timeouts
from relay.spool.model import NewMessage, Placement
from relay.spool.postgres.store import PostgresSpool


class NodeRig:
    """One of them: what `relay serve` runs, without the listener."""

    def __init__(self, spool: PostgresSpool, config: Config) -> None:
        self.spool = spool
        self.config = config
        self.dispatcher = Dispatcher(config, spool, utc_now, lambda: 0.5, Timeouts(*[20] * 7))
        dispatcher = self.dispatcher
        follower = Follower(dispatcher.others_acted, dispatcher.others_used, dispatcher.outlived)
        self.fleet = Fleet(spool, lambda: self.config, utc_now(), follower)
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.fleet.join()
        await self.dispatcher.start()
        self.spool.nodes.on_mail(self.dispatcher.wake)
        self._following = asyncio.create_task(self.fleet.run())

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self.dispatcher.stop(5)
        await self.spool.close()


class FleetRig(AsyncExitStack):
    """See the module. All have one configuration; `secret_key` is the file of the vault's key."""

    def __init__(
        self,
        store: PostgresStore,
        smarthosts: list[Smarthost],
        count: int = 2,
        secret_key: Path | None = None,
    ) -> None:
        super().__init__()
        self.store = store
        self.count = count
        key = None if secret_key is None else SecretRef("file", str(secret_key))
        place = Spool(url=store.url, secret_key=key)
        self.config = Config(hostname="relay.test", spool=place, smarthosts=tuple(smarthosts))
        self.nodes: list[NodeRig] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        for number in range(self.count):
            key = self.config.spool.secret_key
            spool = await self.store.open(utc_now, key, node=f"node{number}", serving=True)
            node = NodeRig(spool, replace(self.config))
            self.push_async_callback(node.stop)
            await node.start()
            self.nodes.append(node)
        return self

    async def accept(self, count: int, node: int = 0, recipients: int = 1) -> None:
        """So many messages, as the intake of one node takes them."""
        await asyncio.gather(*(self._accept(node, recipients) for _ in range(count)))
        self.nodes[node].dispatcher.wake()

    async def _accept(self, node: int, recipients: int) -> None:
        queue, now = self.nodes[node].spool.queue, utc_now()
        number = queue.new_id()
        body = queue.body_writer(number)
        await body.write(CONTENT)
        lane = self.config.smarthosts[0].name
        people = tuple(Recipient(f"b{place}@example.net") for place in range(recipients))
        message = NewMessage(
            id=number,
            received_at=now,
            expires_at=now + self.config.spool.lifetime,
            client="kassa",
            client_address="192.168.1.20",
            envelope=Envelope("a@bakkerij.nl", people),
            placements=(Placement(lane),) * recipients,
            message_id="<1@bakkerij.nl>",
        )
        await queue.accept(message, body)

    async def until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until it is so; the database and a smarthost of threads offer nothing to wait on."""
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(true):
                await asyncio.sleep(0.05)

    async def sent(self, count: int) -> None:
        """So many messages are delivered, and nobody holds anything of the account any more."""
        await self.until(
            lambda: (
                self.store.sql("SELECT count(*) FROM message WHERE finished_at IS NOT NULL")
                == str(count)
                and self.store.sql("SELECT count(*) FROM permit WHERE ended_at IS NULL") == "0"
            )
        )
