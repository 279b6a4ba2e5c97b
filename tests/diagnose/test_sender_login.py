"""`diagnose sender` with a login: one AUTH, MAIL, RSET, and never further."""

from collections.abc import Iterator
from typing import Any

import pytest
from fakes.nameserver import NameServer
from fakes.script import Action, Answer
from fakes.smarthost import Behaviour, Smarthost

from diagnose.account import Chosen, HeldSecret
from diagnose.checks.sender import Question, examine
from diagnose.domain import Address
from diagnose.finding import Examination
from diagnose.runner import Circumstances
from presets.catalog import catalog
from relay.config import model
from relay.config.model import AuthMethod, TlsMode

ADDRESS = Address("info", "mijnbakkerij.nl")
USERNAME = "mijnbakkerij@ziggo.nl"
ZONE = """
$TTL 60
mijnbakkerij.nl. IN TXT "v=spf1 ip4:84.116.6.0/24 -all"
1.2.116.84.in-addr.arpa. IN PTR cable-1.dynamic.ziggo.nl.
"""


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


def behaviour(script: dict[str, Answer], **changes: Any) -> Behaviour:
    return Behaviour(users={USERNAME: "geheim"}, login_without_tls=True, script=script, **changes)


async def ask(
    names: NameServer, server: Smarthost, preset: str = "ziggo", password: str = "geheim"
) -> Examination:
    smarthost = model.Smarthost(
        name="isp",
        host="127.0.0.1",
        port=server.port,
        tls=TlsMode.NONE,
        auth=AuthMethod.PASSWORD,
        username=USERNAME,
        password=HeldSecret("file", "-", password),
        preset=preset,
    )
    chosen = Chosen(preset, smarthost, "kassa.mijnbakkerij.nl")
    question = Question(ADDRESS, catalog().get(preset), USERNAME, chosen)
    return await examine(question, Circumstances(timeout_seconds=1, nameserver=names.pair))


def severities(found: Examination) -> dict[str, str]:
    return {finding.id: finding.severity.value for finding in found.findings}


async def test_it_goes_to_mail_and_rset_and_not_further(names: NameServer) -> None:
    with Smarthost(behaviour({})) as server:
        found = await ask(names, server)
    (session,) = server.sessions
    verbs = dict(session.times)
    assert (verbs["AUTH"], verbs["MAIL"], verbs["RSET"]) == (1, 1, 1)
    assert "RCPT" not in verbs
    assert "DATA" not in verbs
    assert severities(found)["mail-taken"] == "info"
    assert found.content["may_send"] == "yes"
    assert found.content["reply"]["code"] == 250


async def test_a_refused_sender_outweighs_the_preset(names: NameServer) -> None:
    script: dict[str, Answer] = {"MAIL": "553 5.7.1 Sender address rejected: not owned by user"}
    with Smarthost(behaviour(script)) as server:
        found = await ask(names, server)
    assert found.content["may_send"] == "no"
    assert severities(found)["mail-refused"] == "error"
    assert "sender-yes" not in severities(found)
    assert found.content["reply"]["enhanced"] == "5.7.1"
    told = next(each for each in found.findings if each.id == "mail-refused")
    assert told.remedy


async def test_a_refusal_that_is_not_about_the_sender_changes_nothing(names: NameServer) -> None:
    with Smarthost(behaviour({"MAIL": "451 4.3.0 try again later"})) as server:
        found = await ask(names, server)
    assert found.content["may_send"] == "yes"
    assert severities(found)["mail-refused"] == "error"


async def test_a_wrong_password_is_tried_once(names: NameServer) -> None:
    with Smarthost(behaviour({})) as server:
        found = await ask(names, server, password="fout")
    assert sum(session.times["AUTH"] for session in server.sessions) == 1
    assert severities(found)["login-refused"] == "error"
    assert "fout" not in str(found)


async def test_a_connection_that_is_lost(names: NameServer) -> None:
    with Smarthost(behaviour({"MAIL": Action(drop="before")})) as server:
        found = await ask(names, server)
    assert severities(found)["mail-lost"] == "unknown"
    assert found.content["may_send"] == "yes"


async def test_nobody_there(names: NameServer) -> None:
    with Smarthost(behaviour({})) as server:
        pass
    found = await ask(names, server)
    assert severities(found)["not-reached"] == "unknown"


async def test_a_reply_that_this_line_is_not_the_providers(names: NameServer) -> None:
    with Smarthost(behaviour({"MAIL": "554 5.7.1 Relay access denied"})) as server:
        found = await ask(names, server)
    assert severities(found)["not-on-provider-network"] == "error"


@pytest.mark.parametrize(("preset", "told"), [("kpn", True), ("ziggo", False)])
async def test_the_public_address_tells_whose_line_it_is(
    names: NameServer, preset: str, told: bool
) -> None:
    script: dict[str, Answer] = {
        "EHLO": "250-smtp.example Hello [84.116.2.1]\n250-AUTH PLAIN\n250 SIZE 1000"
    }
    with Smarthost(behaviour(script)) as server:
        found = await ask(names, server, preset)
    assert ("not-on-provider-network" in severities(found)) is told


async def test_hostile_replies_are_shown_without_their_escapes(names: NameServer) -> None:
    with Smarthost(behaviour({"MAIL": "550 5.1.0 \x1b[31mrood\x07"})) as server:
        found = await ask(names, server)
    assert "\x1b" not in "".join(each.title + each.detail for each in found.findings)
