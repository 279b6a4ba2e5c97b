"""A worker cancelled at each of its awaits in turn: nothing lost, nothing left behind (O6)."""

import asyncio
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import CONTENT, Rig, rig_smarthost, with_login
from fakes.script import Behaviour, when
from fakes.smarthost import Smarthost

from relay.config.model import TlsMode
from relay.delivery.worker import Worker
from relay.spool.model import State

SENDER = "info@bakkerij.nl"
LEAST_AWAITS = 12


class CancelledAt:
    """Runs a coroutine in the current task and cancels that at its n-th await, from 1."""

    def __init__(self, work: Coroutine[Any, Any, None], nth: int) -> None:
        self.work, self.nth, self.awaits = work, nth, 0

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self.work.__await__()
        try:
            waits_for = next(steps)
            while True:
                self.awaits += 1
                if self.awaits == self.nth:
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                try:
                    answer = yield waits_for
                except BaseException as error:
                    waits_for = steps.throw(error)
                else:
                    waits_for = steps.send(answer)
        except StopIteration:
            return


class Cut:
    """Lets the first worker of a lane be cancelled at its n-th await; later ones work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
        self.first: CancelledAt | None = None
        real = Worker.run

        async def work(worker: Worker) -> None:
            if self.first is not None:
                await real(worker)
                return
            self.first = CancelledAt(real(worker), nth)
            await self.first

        monkeypatch.setattr(Worker, "run", work)

    @property
    def came_too_late(self) -> bool:
        """The worker had fewer awaits than that."""
        return self.first is not None and self.first.awaits < self.first.nth


async def cut_at(
    nth: int, directory: Path, authority: Authority, behaviour: Behaviour, cut: Cut
) -> bool:
    """One message whose worker is cancelled there; True if the worker had so many awaits."""
    keys = {"tls": TlsMode.STARTTLS, "ca_file": authority.ca_file}
    login = with_login(directory / "isp.secret")
    with Smarthost(behaviour) as fake:
        async with Rig(directory, [rig_smarthost(fake, **keys, **login)]) as rig:
            message = await rig.accept(SENDER, ["een@example.net", "weg@example.net"])
            await rig.event("delivered", recipients=[SENDER])
            await rig.event("delivered", recipients=["een@example.net"])
            assert await rig.waiting() == ()
            view = await rig.show(message)
            states = [State.DELIVERED, State.FAILED]
            assert [each.state for each in view.recipients] == states, nth
            lane = rig.dispatcher._crews["isp"].lane
            await rig.dispatcher.stop(1)
            assert lane.connected == lane.idle == 0
            assert lane.account.connections == lane.account.pace.under_way == 0
            copies = [got for got in fake.received if got.content == CONTENT]
            doubted = sum(attempt.in_doubt for attempt in view.attempts)
            assert 1 <= len(copies) <= 1 + doubted, nth
            assert len(rig.events.named("dsn")) == 1, nth
            await asyncio.to_thread(fake.wait_until, lambda: fake.open_connections == 0)
            for session in fake.sessions:
                dots = bytes(session.received).count(b"\r\n.\r\n")
                assert dots == len(session.transactions), nth
    return not cut.came_too_late


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "step by step"])
async def test_cancelled_at_each_await(
    pipelining: bool, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = Behaviour(
        {"RCPT": when({"weg@": "550 5.1.1 unknown"})},
        ("PIPELINING",) if pipelining else (),
        tls="starttls",
        context=authority.issue().server_context(),
        users={"bakker": "geheim"},
    )
    for nth in range(1, 200):
        directory = tmp_path / str(nth)
        directory.mkdir()
        with monkeypatch.context() as patch:
            cut = Cut(patch, nth)
            if not await cut_at(nth, directory, authority, behaviour, cut):
                break
    assert LEAST_AWAITS <= nth < 199
    print({"awaits": nth - 1})
