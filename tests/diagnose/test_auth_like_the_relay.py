"""What diagnose sees on the way to a server is what the relay itself would meet there."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import with_login
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from diagnose.dialogue import open_dialogue
from diagnose.runner import Circumstances
from relay.config.model import Smarthost as Entry
from relay.config.model import TlsMode
from relay.smarthost.connect import ConnectFailure, Timeouts, connect

PASSWORD = "CANARY-krentenbol"
QUICK = Timeouts(dial=2, greeting=2, command=2)

CASES: dict[str, dict[str, Any]] = {
    "accepted": {},
    "refused": {"script": {"AUTH": f"535 5.7.8 no {PASSWORD}"}},
    "no banner": {"script": {"CONNECT": "554 5.7.1 go away"}},
    "hangs up": {"script": {"EHLO": Action(drop="before")}},
    "two replies to EHLO": {"script": {"EHLO": Action(reply=b"250 one\r\n250 two\r\n")}},
    "no STARTTLS": {"tls": "none"},
    "STARTTLS refused": {"script": {"STARTTLS": "454 4.7.0 TLS not available"}},
    "tokens only": {"mechanisms": ("XOAUTH2",)},
    "LOGIN before CRAM-MD5": {"mechanisms": ("CRAM-MD5", "LOGIN")},
    "challenged": {"script": {"AUTH": "334 e30="}},
}


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("case", CASES)
async def test_diagnose_meets_what_the_relay_meets(
    case: str, trusted: bool, authority: Authority, unknown_authority: Authority, tmp_path: Path
) -> None:
    context = (authority if trusted else unknown_authority).issue().server_context()
    values = {"tls": "starttls", "users": {"bakker": PASSWORD}, **CASES[case]}
    with Smarthost(Behaviour(context=context, **values)) as fake:
        entry = Entry(
            name="isp",
            host="127.0.0.1",
            port=fake.port,
            tls=TlsMode.STARTTLS,
            ca_file=authority.ca_file,
            **with_login(tmp_path / "isp.secret", password=PASSWORD),
        )
        relay = await connect(entry, "kassa.test", QUICK)
        dialogue = await open_dialogue(entry, "kassa.test", Circumstances(timeout_seconds=2))
        if isinstance(relay, ConnectFailure):
            assert dialogue.connection is None
            assert dialogue.failure == replace(relay, address="127.0.0.1")
        else:
            assert dialogue.connection is not None
            assert dialogue.connection.capabilities == relay.capabilities
            for connection in (relay, dialogue.connection):
                await connection.exchange.quit(1)
        ended = partial(fake.wait_until, lambda: all(each.ended for each in fake.sessions))
        await asyncio.to_thread(ended)
        ours, theirs = (session.commands for session in fake.sessions)
        assert ours == theirs
    assert PASSWORD not in repr(dialogue)
