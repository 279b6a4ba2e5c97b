"""The breaker and the watch over secrets at the same moment: a pause is not taken for a change."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes.delivery_rig import Rig, rig_smarthost, with_login
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

from relay.config.model import Smarthost as Entry


async def test_a_secret_that_is_still_being_read_is_no_other_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = Behaviour(users={"bakker": "anders"}, login_without_tls=True)
    reading, go_on = threading.Event(), threading.Event()
    with Smarthost(behaviour) as fake:
        login = with_login(tmp_path / "isp.secret")
        smarthost = rig_smarthost(fake, **login)
        async with Rig(tmp_path, [smarthost]) as rig:
            blocks = rig.dispatcher.blocks
            pauses = blocks.pauses
            mark = pauses._mark

            def slowly(entries: Sequence[Entry]) -> str | None:
                reading.set()
                go_on.wait(60)
                return mark(entries)

            monkeypatch.setattr(pauses, "_mark", slowly)
            await rig.accept("a@example.nl", ["b@example.net"])
            assert await asyncio.to_thread(reading.wait, 60)
            watch = asyncio.create_task(blocks.forget_changed_secrets())
            await rig.settled()
            go_on.set()
            assert await watch is False
            await rig.event("paused")
            assert await blocks.forget_changed_secrets() is False
            await rig.settled()
            assert blocks.paused(smarthost) is not None
    assert [len(session.logins) for session in fake.sessions] == [1]


async def test_a_pause_that_came_while_the_secret_was_read_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = Behaviour(users={"bakker": "anders"}, login_without_tls=True)
    with Smarthost(behaviour) as fake:
        login = with_login(tmp_path / "isp.secret")
        smarthost = rig_smarthost(fake, **login)
        async with Rig(tmp_path, [smarthost]) as rig:
            await rig.accept("a@example.nl", ["b@example.net"])
            await rig.event("paused")
            blocks = rig.dispatcher.blocks
            pauses = blocks.pauses
            mark = pauses._mark
            reading, go_on = threading.Event(), threading.Event()

            def slowly(entries: Sequence[Entry]) -> str | None:
                reading.set()
                go_on.wait(60)
                return mark(entries)

            # The watch sees the new secret, and the breaker has already tried it, in vain.
            (tmp_path / "isp.secret").write_text("ook-fout")
            with monkeypatch.context() as patch:
                patch.setattr(pauses, "_mark", slowly)
                watch = asyncio.create_task(blocks.forget_changed_secrets())
                assert await asyncio.to_thread(reading.wait, 60)
            rig.advance(minutes=16)
            await rig.event("paused", count=2)
            go_on.set()
            assert await watch is False
            assert blocks.paused(smarthost) is not None
    assert sum(len(session.logins) for session in fake.sessions) == 2
