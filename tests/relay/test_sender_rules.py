"""Mail that was refused for its sender: the cure proposed, adopted, listed and taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from fakes.delivery_rig import START, Rig, rig_smarthost
from fakes.script import Behaviour, when
from fakes.smarthost import Smarthost as Fake
from fakes.stocked_spool import office_config

from presets.reply import Reply
from relay.config.model import AuthMethod, Client, Config, PolicyKind, Route, SenderPolicy
from relay.control.cures import cures
from relay.control.daemon import Offline
from relay.control.desk import Desk
from relay.control.errors import Declined
from relay.delivery.route import find_path, sender_policy
from relay.delivery.sender_rule import SenderSettings, covering_rule, leave
from relay.message import headers
from relay.spool.ids import id_text
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import HeldFor, State

ACCOUNT = "bakker@bakkerij.nl"
INFO = "info@bakkerij.nl"
NOT_OWNED = f"553 5.7.1 <{INFO}>: Sender address rejected: not owned by user bakker"
NOBODY = Behaviour(script={"MAIL": when({"": NOT_OWNED})})
INVOICE = b"From: Bakkerij <info@bakkerij.nl>\r\nTo: k@example.net\r\nMessage-ID: <1@b.nl>\r\n\r\nHoi.\r\n"


class Running(Offline):
    """The daemon of a rig: what the service passes on to its dispatcher."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.config, rig.spool)
        self.rig = rig

    def config(self) -> Config:
        return self.rig.config

    def mail_due(self) -> None:
        self.rig.dispatcher.wake()

    async def sender_rules_changed(self) -> None:
        await self.rig.dispatcher.sender_rules_changed()


def picky() -> Behaviour:
    """A server that takes the account's own address only, as Postfix says it."""
    return Behaviour(
        script={"MAIL": lambda command: None if ACCOUNT in command.argument else NOT_OWNED}
    )


def desk_of(rig: Rig) -> Desk:
    return Desk(rig.spool, Running(rig), lambda: rig.now)


def host(fake: Fake, **keys: Any) -> Any:
    # No login is made: the fake asks for none.
    return replace(rig_smarthost(fake, **keys), username=ACCOUNT)


async def held(rig: Rig, count: int = 1, sender: str = INFO, content: bytes = INVOICE) -> list[str]:
    """The ids of so many messages that were refused for their sender."""
    before = len(rig.events.named("held"))
    ids = [await rig.accept(sender, ["k@example.net"], content) for _ in range(count)]
    await rig.event("held", before + count)
    rig.now += timedelta(seconds=1)
    return list(map(id_text, ids))


async def test_one_command_cures_all_that_waits_and_what_comes(tmp_path: Path) -> None:
    with Fake(picky()) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            first, second = await held(rig, 2)
            (other,) = await held(rig, 1, "scan@elders.nl", INVOICE.replace(b"info@", b"scan@"))
            (proposed,) = (await desk.queue_show(first))["cures"]
            assert (proposed["remedy"], proposed["sender"], proposed["address"]) == (
                "adopt",
                INFO,
                ACCOUNT,
            )
            assert proposed["command"] == f"relay queue cure {first}"
            answer = await desk.queue_cure(first.lower())
            assert sorted(answer["released"]) == sorted([first, second])
            await rig.event("delivered", 2)
            await rig.accept(INFO, ["later@example.net"], INVOICE)
            await rig.event("delivered", 3)
            assert (await desk.queue_show(other))["state"] == "held"
            again = await desk.queue_cure(first)
            assert (again["reason"], again["rules"], again["released"]) == ("not-held", [], [])
    assert {each.sender.address for each in fake.accepted} == {ACCOUNT}
    for each in fake.accepted:
        message = message_from_bytes(each.content)
        assert message["From"] == f"Bakkerij <{ACCOUNT}>"
        assert message["Reply-To"] == message["X-Original-From"] == f"Bakkerij <{INFO}>"
        assert each.content.endswith(b"\r\n\r\nHoi.\r\n")


async def test_a_rule_adopted_while_the_relay_is_stopped_holds_from_its_start(
    tmp_path: Path,
) -> None:
    with Fake(picky()) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            (id_,) = await held(rig)
            await rig.dispatcher.stop(0)
            desk = Desk(rig.spool, Offline(rig.config, rig.spool), lambda: rig.now)
            assert (await desk.queue_cure(id_))["released"] == [id_]
            await rig.start()
            await rig.event("delivered")
    assert fake.accepted[0].sender.address == ACCOUNT


async def test_what_is_refused_again_is_held_again_and_asks_for_an_address(tmp_path: Path) -> None:
    with Fake(NOBODY) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            (id_,) = await held(rig)
            await desk.queue_cure(id_)
            await rig.event("held", 2)
            await rig.settled()
            shown = await desk.queue_show(id_)
            assert (shown["state"], len(shown["attempts"])) == ("held", 2)
            (proposed,) = shown["cures"]
            assert (proposed["remedy"], proposed["leaves_as"]) == ("address", ACCOUNT)
            assert proposed["command"].endswith("--as ADDRESS")
            rig.now += timedelta(seconds=1)
            for as_, reason in ((None, "no-address"), (ACCOUNT, "no-effect")):
                refused = await desk.queue_cure(id_, as_)
                assert (refused["reason"], refused["released"]) == (reason, [])
            assert (await desk.queue_cure(id_, "derde@bakkerij.nl"))["released"] == [id_]
            await rig.event("held", 3)
            (rule,) = await rig.spool.ledger.sender_rules()
            assert (rule.sender, rule.address) == (INFO, "derde@bakkerij.nl")


async def test_where_the_user_name_is_no_address_one_is_asked_for(tmp_path: Path) -> None:
    with Fake(picky()) as fake:
        smarthost = replace(rig_smarthost(fake), username="apikey")
        async with Rig(tmp_path, [smarthost]) as rig:
            desk = desk_of(rig)
            (id_,) = await held(rig)
            (proposed,) = (await desk.queue_show(id_))["cures"]
            assert (proposed["remedy"], proposed["address"], proposed["config"]) == (
                "address",
                None,
                None,
            )
            assert (await desk.queue_cure(id_))["reason"] == "no-address"
            with pytest.raises(Declined, match="--as"):
                await desk.queue_cure(id_, "apikey")
            assert (await desk.queue_cure(id_, ACCOUNT))["released"] == [id_]
            await rig.event("delivered")


async def test_a_rule_for_a_domain_covers_everybody_in_it(tmp_path: Path) -> None:
    with Fake(picky()) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            (id_,) = await held(rig)
            (jan,) = await held(rig, 1, "Jan@Bakkerij.NL", INVOICE.replace(b"info@", b"jan@"))
            answer = await desk.queue_cure(id_, domain=True)
            assert [rule["sender"] for rule in answer["rules"]] == ["*@bakkerij.nl"]
            assert sorted(answer["released"]) == sorted([id_, jan])
            await rig.event("delivered", 2)


async def test_only_what_the_sender_was_refused_for_is_released(tmp_path: Path) -> None:
    with Fake(picky()) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            id_, other = await held(rig, 2)
            await rig.spool.queue.hold_for([(await rig.waiting())[1].id], HeldFor.OPERATOR)
            assert (await desk.queue_cure(id_))["released"] == [id_]
            assert (await desk.queue_show(other))["recipients"][0]["held_for"] == "operator"


async def test_a_recipient_that_a_person_holds_stays_when_another_is_cured(tmp_path: Path) -> None:
    later = Behaviour(script={"MAIL": "450 4.7.1 later"})
    with Fake(picky()) as fake, Fake(later) as other:
        routes = (Route(recipient="*@elders.nl", smarthosts=("m365",)),)
        smarthosts = [host(fake), host(other, name="m365")]
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            number = await rig.accept(INFO, ["a@example.net", "b@elders.nl"], INVOICE)
            await rig.event("held")
            await rig.event("deferred")
            await rig.spool.queue.hold([number])
            rig.now += timedelta(seconds=1)
            assert (await desk_of(rig).queue_cure(id_text(number)))["released"] == [id_text(number)]
            await rig.event("delivered")
            assert await rig.states(number) == [State.DELIVERED, State.HELD]


@pytest.mark.parametrize(
    ("phase", "text", "refused"),
    [
        ("mail", "not allowed", "envelop@bakkerij.nl"),
        ("rcpt", "not allowed", "envelop@bakkerij.nl"),
        ("dot", "not allowed", INFO),
        ("dot", "<Envelop@Bakkerij.nl> not owned by user", "envelop@bakkerij.nl"),
        ("mail", f"{ACCOUNT} may not send as {INFO}", INFO),
    ],
)
async def test_which_address_was_refused(
    tmp_path: Path, phase: str, text: str, refused: str
) -> None:
    with Fake(NOBODY) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            await held(rig, 1, "envelop@bakkerij.nl")
            view = await rig.show((await rig.waiting())[0].id)
            config = rig.config
    attempts = tuple(replace(each, phase=phase) for each in view.attempts)
    (recipient,) = view.recipients
    recipients = (replace(recipient, reply=Reply(550, "5.7.1", text)),)
    found = cures(config, (), replace(view, attempts=attempts, recipients=recipients), INVOICE)
    assert [cure.sender for cure in found] == [refused]


async def test_a_message_cut_off_between_rule_and_release_is_released_by_asking_again(
    tmp_path: Path,
) -> None:
    with Fake(picky()) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            (id_,) = await held(rig)
            await rig.spool.ledger.adopt_sender(SenderRule("isp", INFO, ACCOUNT, rig.now))
            await rig.dispatcher.sender_rules_changed()
            desk = desk_of(rig)
            (proposed,) = (await desk.queue_show(id_))["cures"]
            assert proposed["command"] == f"relay queue release {id_}"
            answer = await desk.queue_cure(id_)
            assert (answer["rules"], answer["released"]) == ([], [id_])
            await rig.event("delivered")


async def test_rules_are_listed_shown_by_why_and_taken_back(tmp_path: Path) -> None:
    with Fake(picky()) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            (id_,) = await held(rig)
            await desk.queue_cure(id_)
            await rig.event("delivered")
            (listed,) = (await desk.sender_list())["rules"]
            assert (listed["smarthost"], listed["configured"], listed["sender"]) == (
                "isp",
                True,
                INFO,
            )
            (why,) = (await desk.why("127.0.0.1", "INFO@bakkerij.nl"))["smarthosts"]
            assert (why["sender"], why["sender_rule"], why["sender_allowed"]) == (
                ACCOUNT,
                INFO,
                True,
            )
            assert "reply-to-added" in why["changes"]
            assert (await desk.sender_remove(INFO, "elders"))["removed"] == []
            assert len((await desk.sender_remove(INFO.upper()))["removed"]) == 1
            assert (await desk.sender_list())["rules"] == []
            await held(rig)  # as before the rule


async def test_why_warns_of_a_sender_that_the_account_may_not_use(tmp_path: Path) -> None:
    with Fake() as fake:
        async with Rig(tmp_path, [host(fake, allowed_senders=(ACCOUNT,))]) as rig:
            (why,) = (await desk_of(rig).why("127.0.0.1", INFO))["smarthosts"]
    assert (why["sender"], why["sender_allowed"], why["policy_place"]) == (INFO, False, "sender")


async def test_why_tells_what_stands_for_a_null_sender(tmp_path: Path) -> None:
    with Fake() as fake:
        async with Rig(tmp_path, [host(fake, auth=AuthMethod.PASSWORD)]) as rig:
            (why,) = (await desk_of(rig).why("127.0.0.1", ""))["smarthosts"]
    assert why["sender"] == ACCOUNT


async def test_an_unknown_message_and_one_that_is_not_held(tmp_path: Path) -> None:
    with Fake() as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            id_ = id_text(await rig.accept(INFO, ["k@example.net"], INVOICE))
            await rig.event("delivered")
            assert (await desk.queue_cure("0000000000000"))["unknown"] == ["0000000000000"]
            assert (await desk.queue_cure(id_))["reason"] == "not-held"
            assert (await desk.queue_show(id_))["cures"] == []


async def test_a_refusal_after_data_is_about_the_author(tmp_path: Path) -> None:
    # As Microsoft 365: the envelope is good, the From is not, and the reply names both.
    denied = f"554 5.2.252 SendAsDenied; {ACCOUNT} not allowed to send as {INFO}"
    with Fake() as fake:
        fake.behaviour.script = {
            "DOT": lambda _: (
                denied
                if b"Bakkerij <info@" in fake.received[-1].content.split(b"\r\nReply-To")[0]
                else None
            )
        }
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            (id_,) = await held(rig, 1, ACCOUNT)
            (proposed,) = (await desk.queue_show(id_))["cures"]
            assert proposed["sender"] == INFO
            assert (await desk.queue_cure(id_))["rules"][0]["sender"] == INFO
            await rig.event("delivered")


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ([("isp", "*@b.nl"), ("isp", "a@b.nl")], "a@b.nl"),
        ([("isp", "*@b.nl"), ("m365", "a@b.nl")], "*@b.nl"),
        ([("m365", "*@b.nl")], None),
        ([("isp", "*@sub.b.nl"), ("isp", "aa@b.nl")], None),
    ],
)
def test_an_address_goes_before_its_domain(
    rules: list[tuple[str, str]], chosen: str | None
) -> None:
    every = [SenderRule(name, sender, ACCOUNT, START) for name, sender in rules]
    found = covering_rule(every, "isp", ("x@y.nl", "A@B.NL"))
    assert (found and found.sender) == chosen


def test_a_rule_takes_the_place_of_what_the_policy_would_do(tmp_path: Path) -> None:
    config = office_config(tmp_path)
    policy = SenderPolicy(PolicyKind.FORCE, "kantoor@bakkerij.nl")
    rule = SenderRule("isp", "kantoor@bakkerij.nl", ACCOUNT, START)
    leaving = leave(
        SenderSettings(config, policy, (rule,)), config.smarthost("isp"), INVOICE[:35], INFO
    )
    assert (leaving.reverse_path, leaving.rule) == (ACCOUNT, rule)
    assert leaving.authors == ("kantoor@bakkerij.nl",)
    # The original is the client's own, once.
    assert [f.value for f in headers.named(leaving.header, b"X-Original-From")] == [
        b"Bakkerij <info@bakkerij.nl>"
    ]


def test_a_null_reverse_path_that_the_account_stands_for_follows_a_rule(tmp_path: Path) -> None:
    config = office_config(tmp_path)
    rule = SenderRule("isp", "bakker@ziggo.nl", ACCOUNT, START)
    settings = SenderSettings(config, SenderPolicy(), (rule,))
    leaving = leave(settings, config.smarthost("isp"), b"From: bakker@ziggo.nl\r\n", None)
    assert leaving.reverse_path == ACCOUNT
    plain = leave(settings, config.smarthost("m365"), b"From: bakker@ziggo.nl\r\n", None)
    assert plain.reverse_path is None


TABLES = """
[[client]]
name = "kassa"
networks = ["192.168.1.20"]
{client}
[[smarthost]]
name = "isp"
host = "127.0.0.1"
tls = "none"
auth = "password"
username = "bakker@bakkerij.nl"
password = {{ file = "isp.secret" }}
{smarthost}
[[route]]
smarthost = ["isp"]
{route}
{sender}
"""
FORCED = 'sender = { policy = "force", address = "x@bakkerij.nl", bcc = ["archief@bakkerij.nl"] }'


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"smarthost": 'allowed_senders = ["*"]'},
        {"smarthost": 'allowed_senders = ["*@bakkerij.nl", "a@elders.nl"]'},
        {"client": FORCED},
        {"client": FORCED, "smarthost": 'allowed_senders = ["*"]'},
        {"route": FORCED},
        {"smarthost": FORCED},
        {"sender": '[sender]\npolicy = "force"\naddress = "x@bakkerij.nl"'},
    ],
    ids=str,
)
async def test_the_lines_for_the_configuration_cure_it_too(
    tmp_path: Path, keys: dict[str, str]
) -> None:
    def configured(**more: str) -> Config:
        blank = dict.fromkeys(("client", "smarthost", "route", "sender"), "")
        return office_config(tmp_path, TABLES.format(**{**blank, **keys, **more}))

    def leaves_as(config: Config) -> str | None:
        path = find_path(config, "kassa", INFO, "k@example.net")
        settings = SenderSettings(config, sender_policy(config, "kassa", path, "isp"))
        return leave(settings, config.smarthost("isp"), INVOICE, INFO).reverse_path

    config = configured()
    assert leaves_as(config) != ACCOUNT
    with Fake(NOBODY) as fake:
        async with Rig(tmp_path / "rig", [host(fake)]) as rig:
            await held(rig)
            view = (await rig.waiting())[0]
    (cure,) = cures(config, (), view, INVOICE)
    lines = str(cure.document()["config"]).splitlines()
    table = lines[0].strip("[]")
    # The lines replace those that stand in that table; its name is for finding it.
    kept = [
        each
        for each in keys.get(table, "").splitlines()
        if each.partition(" ")[0] not in {x.partition(" ")[0] for x in lines}
    ]
    cured = "\n".join([*kept, *(each for each in lines[1:] if not each.startswith("name"))])
    assert leaves_as(configured(**{table: cured})) == ACCOUNT
    if "bcc" in keys.get(table, ""):
        assert "archief@bakkerij.nl" in cured


async def test_hostile_senders_make_no_pattern(tmp_path: Path) -> None:
    content = b"From: *@bakkerij.nl, \x1b]0;x\x07@evil.com\r\nTo: k@example.net\r\n\r\nHoi.\r\n"
    with Fake(NOBODY) as fake:
        async with Rig(tmp_path, [host(fake)]) as rig:
            desk = desk_of(rig)
            (id_,) = await held(rig, 1, "*@bakkerij.nl", content)
            (proposed,) = (await desk.queue_show(id_))["cures"]
            assert proposed["sender"] is None
            json.dumps(proposed)
            assert (await desk.queue_cure(id_))["rules"] == []


async def test_each_smarthost_that_refused_gets_its_own_rule(tmp_path: Path) -> None:
    with Fake(picky()) as one, Fake(picky()) as two:
        smarthosts = [host(one), replace(host(two, name="m365"), username="m@bakkerij.nl")]
        routes = (Route(recipient="*@elders.nl", smarthosts=("m365",)),)
        async with Rig(tmp_path, smarthosts, routes=routes) as rig:
            desk = desk_of(rig)
            number = await rig.accept(INFO, ["a@example.net", "b@elders.nl"], INVOICE)
            await rig.event("held", 2)
            rig.now += timedelta(seconds=1)
            answer = await desk.queue_cure(id_text(number))
            assert {(rule["smarthost"], rule["address"]) for rule in answer["rules"]} == {
                ("isp", ACCOUNT),
                ("m365", "m@bakkerij.nl"),
            }
            await rig.event("delivered")
            await rig.event("held", 3)  # the second takes another's address only
            assert sorted(await rig.states(number)) == [State.DELIVERED, State.HELD]


async def test_a_client_named_in_the_lines_is_the_one_whose_policy_holds(tmp_path: Path) -> None:
    kassa = Client("kassa", (), sender=SenderPolicy(PolicyKind.FORCE, "x@bakkerij.nl"))
    with Fake(NOBODY) as fake:
        async with Rig(tmp_path, [host(fake, allowed_senders=(ACCOUNT,))], clients=(kassa,)) as rig:
            (id_,) = await held(rig)
            (proposed,) = (await desk_of(rig).queue_show(id_))["cures"]
    assert proposed["sender"] == "x@bakkerij.nl"
    assert proposed["config"].splitlines() == [
        "[[client]]",
        'name = "kassa"',
        f'sender = {{ policy = "rewrite", address = "{ACCOUNT}" }}',
    ]
