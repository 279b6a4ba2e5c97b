"""The smarthost's name does not resolve, in every way: mail waits and nothing bounces (O13)."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from fakes.delivery_rig import Rig, rig_smarthost
from fakes.ports import free_port
from fakes.smarthost import Smarthost

from relay.config.model import TlsMode
from relay.smarthost.connect import Timeouts
from relay.spool.model import State

IMPATIENT = Timeouts(0.2, 5, 5, 5, 5, 5, 5)
FAULTS = {
    "NXDOMAIN": socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    "SERVFAIL": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "no address of this name": socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure"),
    "no label may be so long": UnicodeError("label too long"),
    "silence": None,
    "no addresses": [],
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_name_that_does_not_resolve_bounces_nothing(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: Any = FAULTS[fault]

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    with Smarthost() as fake:
        entry = rig_smarthost(fake, host="smtp.example.net", tls=TlsMode.NONE)
        async with Rig(tmp_path, [entry], IMPATIENT) as rig:
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
            message = await rig.accept("info@bakkerij.nl", ["een@example.net"])
            paused = await rig.event("paused", by="smarthost")
            assert "smtp.example.net" in paused["text"]
            rig.advance(days=4)
            await rig.event("paused", 2)
            assert await rig.states(message) == [State.QUEUED]
            assert rig.events.named("dsn") == rig.events.named("failed") == []
            # Two addresses, the first of them dead.
            dead, good = ("127.0.0.1", free_port()), ("127.0.0.1", fake.port)
            answer = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", at) for at in (dead, good)]
            rig.advance(minutes=10)
            await rig.event("delivered")
        assert len(fake.accepted) == 1
