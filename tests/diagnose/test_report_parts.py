"""Which examinations a report joins, and what becomes of one that fails."""

import asyncio
from dataclasses import replace

import pytest
from fakes.nameserver import NameServer

from diagnose.checks.report_parts import (
    Part,
    Wishes,
    parts_of_config,
    run_parts,
    sending_domains,
)
from diagnose.finding import Examination
from diagnose.runner import Circumstances
from relay.config.model import (
    AuthMethod,
    Client,
    Config,
    Dkim,
    PolicyKind,
    Route,
    SenderPolicy,
    Smarthost,
    Spool,
    TlsMode,
)
from relay.config.secret import SecretRef

ISP = Smarthost(
    name="isp",
    host="smtp.ziggo.nl",
    preset="ziggo",
    auth=AuthMethod.PASSWORD,
    username="bakker@ziggo.nl",
    password=SecretRef("file", "/nowhere"),
    allowed_senders=("*@mijnbakkerij.nl", "info@tweede.nl"),
)
PLAIN = Smarthost(name="lan", host="2001:db8::1", port=25, tls=TlsMode.NONE)
CONFIG = Config(hostname="relay.test", spool=Spool("sqlite://"), smarthosts=(ISP, PLAIN))


def forced(address: str) -> SenderPolicy:
    return SenderPolicy(PolicyKind.FORCE, address)


def shown(config: Config, wishes: Wishes | None = None) -> list[tuple[str, str]]:
    return [(p.command, p.target) for p in parts_of_config(config, wishes or Wishes(), "en")]


def test_the_parts_of_a_configuration() -> None:
    domains = ("mijnbakkerij.nl", "tweede.nl")
    assert shown(CONFIG) == [
        ("connect", "smtp.ziggo.nl:587"),
        ("tls", "smtp.ziggo.nl:587"),
        ("auth", "isp"),
        ("connect", "[2001:db8::1]:25"),
        *((command, domain) for domain in domains for command in ("spf", "dmarc", "dkim")),
        ("sender", "info@tweede.nl via ziggo"),
    ]
    assert not [one for one in shown(CONFIG, Wishes(login=False)) if one[0] == "auth"]


def test_an_own_sender_is_what_mail_leaves_as() -> None:
    config = replace(CONFIG, sender=forced("kassa@derde.nl"))
    assert shown(config)[-1] == ("sender", "kassa@derde.nl via ziggo")


def test_domains_come_from_all_tables_and_providers_have_their_own() -> None:
    config = replace(
        CONFIG,
        sender=forced("a@een.nl"),
        clients=(Client(name="kassa", networks=(), sender=forced("b@twee.nl")),),
        routes=(Route(policy=forced("c@DRIE.nl")), Route(policy=forced("c@gmail.com"))),
        smarthosts=(replace(ISP, sender=forced("d@bücher.example")),),
    )
    assert [each.name for each in sending_domains(config, "en")] == [
        "een.nl",
        "drie.nl",
        "twee.nl",
        "xn--bcher-kva.example",
        "mijnbakkerij.nl",
    ]


async def test_the_keys_of_the_relay_itself_are_looked_at() -> None:
    key = Dkim("mijnbakkerij.nl", "kassa2026", SecretRef("file", "/nowhere"))
    parts = parts_of_config(replace(CONFIG, dkim=(key,)), Wishes(login=False), "en")
    (part,) = [one for one in parts if (one.command, one.target) == ("dkim", "mijnbakkerij.nl")]
    zone = "mijnbakkerij.nl. 300 IN SOA ns.mijnbakkerij.nl. a.mijnbakkerij.nl. 1 3600 600 86400 300"
    with NameServer(zone) as server:
        circumstances = Circumstances(timeout_seconds=4, nameserver=server.pair)
        (done,) = await run_parts([part], circumstances)
    assert done.document()["tried"] == ["kassa2026"]


async def good(_: Circumstances) -> Examination:
    return Examination("connect", "good", [], {"attempts": []})


async def raises(_: Circumstances) -> Examination:
    raise RuntimeError("a fault")


async def hangs(_: Circumstances) -> Examination:
    await asyncio.Event().wait()
    raise AssertionError


async def test_one_that_fails_hides_no_other_and_is_a_document_too() -> None:
    works = {"hangs": hangs, "first": good, "raises": raises, "last": good}
    parts = [Part("connect", name, work) for name, work in works.items()]
    done = await run_parts(parts, Circumstances(timeout_seconds=0.05))
    found = [each.document() for each in done]
    assert [each["verdict"] for each in found] == ["unknown", "pass", "unknown", "pass"]
    assert [each["target"] for each in found] == ["hangs", "good", "raises", "good"]
    late, failed = (found[number]["findings"][0] for number in (0, 2))
    assert (late["id"], failed["id"]) == ("check-timed-out", "check-failed")
    assert "a fault" in failed["detail"]


async def test_a_part_reaches_its_own_limit_first() -> None:
    given: list[float] = []

    async def look(circumstances: Circumstances) -> Examination:
        given.append(circumstances.timeout_seconds)
        return Examination("connect", "x", [])

    await run_parts([Part("connect", "x", look)], Circumstances(timeout_seconds=10))
    assert given == [pytest.approx(9)]
