"""The operator's actions over a real spool."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.stocked_spool import NOON, FakeDaemon, add_message, office_config

from presets.reply import Reply
from relay.config.model import DeliveryMode, Fault
from relay.control.daemon import Offline, Reloaded
from relay.control.desk import Desk
from relay.control.errors import Declined
from relay.spool.ledger_entry import Block, BlockedBy, PausedAccount, RefusedDevice
from relay.spool.model import HeldFor
from relay.spool.sqlite import SqliteSpool, open_spool

ACCOUNT = ("smtp.ziggo.nl", "bakker@ziggo.nl")


class Office:
    """A desk with everything around it at hand."""

    def __init__(self, directory: Path) -> None:
        self.config = office_config(directory)
        self.spool: SqliteSpool = open_spool(directory / "spool.db", lambda: NOON)
        self.use(DeliveryMode.QUEUE)

    def use(self, mode: DeliveryMode) -> None:
        delivery = replace(self.config.delivery, mode=mode)
        self.daemon = FakeDaemon(replace(self.config, delivery=delivery), self.spool)
        self.desk = Desk(self.spool, self.daemon, lambda: NOON)

    async def states(self) -> dict[str, str]:
        found = await self.desk.queue_list()
        return {message["id"]: message["state"] for message in found["messages"]}

    async def lane(self, id_: str) -> str:
        shown = await self.desk.queue_show(id_)
        return str(shown["recipients"][0]["smarthost"])

    async def block(self, by: BlockedBy, lane: str = "isp") -> None:
        until = NOON + timedelta(minutes=5)
        await self.spool.ledger.block(lane, Block(by, until, 2, NOON, "connection-failed"))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(tmp_path)
    yield office
    await office.spool.close()


async def test_hold_and_release_wake_the_dispatcher(office: Office) -> None:
    id_ = await add_message(office.spool)
    held = await office.desk.queue_act("hold", [id_])
    assert (held["changed"], await office.states()) == ([id_], {id_: "held"})
    released = await office.desk.queue_act("release", [id_.lower(), id_])
    assert (released["changed"], await office.states()) == ([id_], {id_: "queued"})
    assert "mail_due" in office.daemon.calls


async def test_unknown_and_unchanged_ids_are_listed(office: Office) -> None:
    id_ = await add_message(office.spool)
    done = await office.desk.queue_act("release", [id_, "0000000000000", "no id"])
    assert (done["changed"], done["unchanged"]) == ([], [id_])
    assert sorted(done["unknown"]) == ["0000000000000", "no id"]
    assert office.daemon.calls == []


async def test_a_release_follows_the_routes_of_now(office: Office) -> None:
    id_ = await add_message(office.spool, ["a@elders.nl"], held_for=HeldFor.OPERATOR)
    await office.desk.queue_act("release", None)
    assert await office.lane(id_) == "m365", "its route changed while it was held"


async def test_a_release_avoids_a_smarthost_that_is_down(office: Office) -> None:
    id_ = await add_message(office.spool, ["a@elders.nl"], held_for=HeldFor.OPERATOR, lane="m365")
    await office.block(BlockedBy.SMARTHOST, "m365")
    await office.desk.queue_act("release", [id_])
    assert await office.lane(id_) == "isp"


async def test_a_rerouted_message_keeps_its_smarthost(office: Office) -> None:
    id_ = await add_message(office.spool, ["a@elders.nl"], held_for=HeldFor.OPERATOR)
    await office.desk.queue_act("reroute", [id_], "isp")
    await office.desk.queue_act("release", [id_])
    assert await office.lane(id_) == "isp"


async def test_nothing_is_sent_from_a_sandbox(office: Office) -> None:
    kept = await add_message(office.spool, held_for=HeldFor.SANDBOX, lane="")
    free = await add_message(office.spool, held_for=HeldFor.SENDER)
    done = await office.desk.queue_act("release", None)
    assert (done["changed"], done["refused"]) == ([free], [kept])
    assert (await office.states())[kept] == "held"


async def test_delete_all(office: Office) -> None:
    ids = [await add_message(office.spool) for _ in range(3)]
    done = await office.desk.queue_act("delete", None)
    assert (sorted(done["changed"]), await office.states()) == (sorted(ids), {})


async def test_retry_clears_the_back_off_and_no_pause(tmp_path: Path) -> None:
    office = Office(tmp_path)
    await office.block(BlockedBy.SMARTHOST, "isp")
    await office.block(BlockedBy.ACCOUNT, "m365")
    await Desk(office.spool, Offline(office.config, office.spool), lambda: NOON).queue_act(
        "retry", None
    )
    lanes = await office.spool.ledger.lanes()
    await office.spool.close()
    assert lanes["isp"].block is None
    assert lanes["m365"].block is not None


@pytest.mark.parametrize(
    ("action", "to", "says"),
    [("reroute", "nergens", "isp, m365"), ("reroute", None, "isp, m365"), ("burn", None, "retry")],
)
async def test_what_cannot_be_asked_names_what_can(
    office: Office, action: str, to: str | None, says: str
) -> None:
    with pytest.raises(Declined, match=says):
        await office.desk.queue_act(action, None, to)


async def test_allow_adopts_and_releases_what_was_learned(office: Office) -> None:
    mine = await add_message(office.spool, held_for=HeldFor.LEARNING, address="192.168.1.40")
    other = await add_message(office.spool, held_for=HeldFor.LEARNING, address="192.168.1.41")
    done = await office.desk.client_allow("::ffff:192.168.1.40", "scanner")
    assert (done["adopted"], done["address"], done["name"]) == (True, "192.168.1.40", "scanner")
    assert done["released"] == [mine]
    assert await office.states() == {mine: "queued", other: "held"}
    assert office.daemon.calls == ["access_changed", "mail_due"]
    listed = await office.desk.client_list()
    assert [each["address"] for each in listed["adopted"]] == ["192.168.1.40"]


async def test_allow_in_a_trial_lets_nothing_leave_unseen(office: Office) -> None:
    office.use(DeliveryMode.HOLD)
    mine = await add_message(office.spool, held_for=HeldFor.LEARNING, address="192.168.1.40")
    await office.desk.client_allow("192.168.1.40")
    shown = await office.desk.queue_show(mine)
    assert shown["recipients"][0]["held_for"] == "trial"


async def test_allow_of_a_listed_device_says_where_it_stands(office: Office) -> None:
    done = await office.desk.client_allow("192.168.1.70")
    assert not done["adopted"]
    assert done["listed_by"] == {"client": "kassa", "network": "192.168.1.64/26"}
    assert (await office.desk.client_list())["adopted"] == []


@pytest.mark.parametrize("address", ["192.168.1.0/24", "kassa", "", "192.168.1.400"])
async def test_allow_takes_one_address(office: Office, address: str) -> None:
    with pytest.raises(Declined):
        await office.desk.client_allow(address)


async def test_remove(office: Office) -> None:
    await office.desk.client_allow("fd00::40%eth0")
    assert (await office.desk.client_remove("fd00::40"))["removed"]
    again = await office.desk.client_remove("fd00::40")
    assert (again["removed"], again["listed_by"]) == (False, None)


async def test_refused_devices_that_were_allowed_since_are_not_listed(office: Office) -> None:
    await office.spool.ledger.note_refused(
        [
            RefusedDevice(address, 3, NOON - timedelta(minutes=9), NOON)
            for address in ("192.168.1.20", "192.168.1.40")
        ]
    )
    (device,) = (await office.desk.client_refused())["devices"]
    assert device == {
        "address": "192.168.1.40",
        "count": 3,
        "first_at": "2026-11-21T11:51:00.000Z",
        "last_at": "2026-11-21T12:00:00.000Z",
    }


async def test_a_learning_window_opens_and_closes(office: Office) -> None:
    opened = await office.desk.client_learn(30)
    assert opened["learning_until"] == "2026-11-21T12:30:00.000Z"
    assert (await office.desk.status())["learning_until"] == opened["learning_until"]
    assert (await office.desk.client_learn(0))["learning_until"] is None
    assert (await office.desk.client_list())["learning_until"] is None
    assert office.daemon.calls == ["access_changed"] * 2


@pytest.mark.parametrize("minutes", [-1, 121, 10**30])
async def test_a_learning_window_lasts_two_hours_at_most(office: Office, minutes: int) -> None:
    with pytest.raises(Declined, match="120"):
        await office.desk.client_learn(minutes)


async def test_a_paused_account_is_resumed_by_its_smarthost(office: Office) -> None:
    reply = Reply(535, "5.7.8", "bad password")
    await office.spool.ledger.pause(PausedAccount(*ACCOUNT, NOON, None, 1, "x", reply, None))
    await office.block(BlockedBy.ACCOUNT)
    (account,) = (await office.desk.account_list("nl"))["accounts"]
    assert (account["paused"], account["explanation"]["scope"]) == (True, "account")
    status = await office.desk.status()
    assert [each["id"] for each in status["problems"]] == ["account-paused"]
    done = await office.desk.account_resume("isp")
    assert done["resumed"] == [{"host": ACCOUNT[0], "username": ACCOUNT[1]}]
    assert (await office.spool.ledger.lanes())["isp"].block is None
    assert office.daemon.calls == ["account_resumed bakker@ziggo.nl", "mail_due"]
    assert (await office.desk.account_resume(ACCOUNT[1]))["resumed"] == []
    with pytest.raises(Declined):
        await office.desk.account_resume("nobody")


async def test_status_is_good(office: Office) -> None:
    status = await office.desk.status()
    assert (status["verdict"], status["problems"], status["running"]) == ("pass", [], True)
    assert [each["name"] for each in status["smarthosts"]] == ["isp", "m365"]
    assert status["pid"] == 1


async def test_status_names_each_problem(office: Office, tmp_path: Path) -> None:
    await add_message(office.spool)
    await office.block(BlockedBy.SMARTHOST)
    spool = replace(office.config.spool, reserve_bytes=10**18)
    daemon = Offline(replace(office.config, spool=spool), office.spool)
    later = NOON + timedelta(minutes=1)  # the message came an hour before noon
    status = await Desk(office.spool, daemon, lambda: later).status()
    assert [each["id"] for each in status["problems"]] == [
        "not-running",
        "smarthost-backing-off",
        "queue-old",
        "disk-low",
    ]
    assert (status["verdict"], status["oldest_queued_seconds"]) == ("fail", 3660)


async def test_reload_tells_faults_in_both_languages(office: Office) -> None:
    fault = Fault("relay.toml", 3, "hostname", "fout", "wrong")
    office.daemon.reloaded = Reloaded(False, (fault,), ("web.address",))
    done = await office.desk.reload()
    assert done["faults"][0]["nl"] == "relay.toml:3: hostname: fout"
    assert (done["applied"], done["needs_restart"]) == (False, ["web.address"])


async def test_why_accepts(office: Office) -> None:
    answer = await office.desk.why("192.168.1.70", "info@mijnbakkerij.nl", "a@elders.nl")
    assert (answer["accepted"], answer["client"], answer["network"]) == (
        True,
        "kassa",
        "192.168.1.64/26",
    )
    assert (answer["route"], [each["name"] for each in answer["smarthosts"]]) == (
        0,
        ["m365", "isp"],
    )


async def test_why_gives_the_refusal_itself(office: Office) -> None:
    answer = await office.desk.why("192.168.1.40", "info@mijnbakkerij.nl")
    assert not answer["accepted"]
    assert answer["reply"] == (
        "554 5.7.1 192.168.1.40 is not listed; relay client allow 192.168.1.40"
    )
    bad = await office.desk.why("192.168.1.20", "geen adres")
    assert bad["reply"].startswith("501 5.1.7 ")


async def test_why_knows_the_learning_window(office: Office) -> None:
    await office.desk.client_learn(10)
    answer = await office.desk.why("192.168.1.40", "")
    assert (answer["accepted"], answer["held_for"]) == (True, "learning")
    public = await office.desk.why("198.51.100.7", "")
    assert not public["accepted"]


async def test_why_tells_the_sender_after_policy(tmp_path: Path) -> None:
    office = Office(tmp_path)
    tables = """
[[smarthost]]
name = "isp"
host = "mail.example.net"
auth = "none"
allowed_senders = ["bakker@ziggo.nl"]
sender = { policy = "force", address = "bakker@ziggo.nl" }
"""
    config = office_config(tmp_path, tables)
    desk = Desk(office.spool, FakeDaemon(config, office.spool), lambda: NOON)
    (smarthost,) = (await desk.why("127.0.0.1", "info@mijnbakkerij.nl"))["smarthosts"]
    await office.spool.close()
    assert (smarthost["sender"], smarthost["sender_allowed"]) == ("bakker@ziggo.nl", True)
    assert "reply-to-added" in smarthost["changes"]


async def test_a_limit_beyond_reason_is_declined(office: Office) -> None:
    for limit in (0, 10_001):
        with pytest.raises(Declined):
            await office.desk.queue_list(limit=limit)
    with pytest.raises(Declined, match="held"):
        await office.desk.queue_list("sleeping")
