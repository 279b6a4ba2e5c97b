"""The commands that talk to a smarthost, where that is hostile: bounded, printable, no password."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.canary import Canary, forms, leaks
from fakes.certificates import Authority
from fakes.relay_process import Finished, RelayProcess
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from relay.spool.sqlite import open_spool

PASSWORD = "CANARY-pw-+/~?>%&="
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\x00 rood \u202e"
UNREACHED, REFUSED = 3, 1
# What the server does, and the exit codes of `check --online` and `account test`.
CASES: dict[str, tuple[dict[str, Any], int, int]] = {
    "escapes in the greeting": ({"CONNECT": f"554 5.7.1 {ESCAPES}"}, REFUSED, UNREACHED),
    "escapes in EHLO": ({"EHLO": f"550 5.7.1 {ESCAPES}"}, REFUSED, UNREACHED),
    "escapes in AUTH": ({"AUTH": f"535 5.7.8 {ESCAPES}"}, REFUSED, REFUSED),
    "password in AUTH": (
        {"AUTH": "535 5.7.8 " + " ".join(each.decode() for each in forms(PASSWORD).values())},
        REFUSED,
        REFUSED,
    ),
    "endless banner": ({"CONNECT": Action(reply=b"220-" + b"x" * 5_000_000)}, REFUSED, UNREACHED),
    "ten megabytes of EHLO": (
        {"EHLO": Action(reply=b"250-X-WORD\r\n" * 900_000 + b"250 x\r\n")},
        REFUSED,
        UNREACHED,
    ),
    "hangs up at TLS": (
        {"STARTTLS": Action(reply="220 2.0.0 go", drop="after")},
        REFUSED,
        UNREACHED,
    ),
    "no SMTP": ({"CONNECT": Action(reply=b"HTTP/1.1 400 Bad\r\n\r\n")}, REFUSED, UNREACHED),
}


@pytest.mark.parametrize("case", CASES)
def test_what_it_says_is_cut_and_harmless(tmp_path: Path, authority: Authority, case: str) -> None:
    script, check, test = CASES[case]
    context = authority.issue().server_context()
    users = {"bakker": PASSWORD}
    with Smarthost(Behaviour(script, tls="starttls", context=context, users=users)) as server:
        relay = RelayProcess(tmp_path)
        relay.add_smarthost(server.port, authority.ca_file, password=PASSWORD)
        relay.write_config()
        asyncio.run(open_spool(relay.spool).close())
        began = time.monotonic()
        checked = relay.run("check", "--online")
        tested = relay.run("account", "test", "isp", "--force", "--json")
        assert time.monotonic() - began < 20
    assert (checked.code, tested.code) == (check, test), (checked, tested)
    for said in (checked, tested):
        assert_harmless(said)
    assert tested.json["accepted"] is False


def assert_harmless(said: Finished) -> None:
    text = said.out + said.err
    assert len(text) < 20_000
    assert all(each.isprintable() or each == "\n" for each in text), text
    assert leaks([Canary(PASSWORD)], {"what it said": text}) == []


def test_a_certificate_of_nobody_gets_no_password(
    tmp_path: Path, authority: Authority, unknown_authority: Authority
) -> None:
    context = unknown_authority.issue().server_context()
    behaviour = Behaviour(tls="starttls", context=context, users={"bakker": PASSWORD})
    with Smarthost(behaviour) as server:
        relay = RelayProcess(tmp_path)
        relay.add_smarthost(server.port, authority.ca_file, password=PASSWORD)
        relay.write_config()
        asyncio.run(open_spool(relay.spool).close())
        said = relay.run("account", "test", "isp", "--json")
        assert said.code == UNREACHED
        assert said.json["cause"] == "certificate-not-trusted"
        assert [session.logins for session in server.sessions] == [[]]
