"""What is stored of a message: envelope, repairs, copies, and why it is held."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.listening import HOSTNAME, MESSAGE, NOON, RECIPIENT, SENDER, Listening, client

from relay.config.model import Delivery, DeliveryMode, Route, SenderPolicy, Smarthost
from relay.config.model import Spool as SpoolSettings
from relay.spool.model import HeldFor
from relay.spool.view import MessageView


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path, client()) as listening:
        yield listening


def send(listening: Listening, content: bytes = MESSAGE, hello: str = "EHLO kassa") -> str:
    with listening.greeted(hello) as peer:
        peer.mail()
        reply = peer.message(content)
    assert reply.startswith("250 2.0.0 ")
    return reply


def only(listening: Listening) -> MessageView:
    (message,) = listening.messages()
    return message


def test_the_envelope_is_kept_as_it_was_said(listening: Listening) -> None:
    with listening.greeted() as peer:
        mail = (
            "MAIL FROM:<@route.example:Info@MijnBakkerij.nl> SIZE=9 BODY=8BITMIME RET=HDRS ENVID=f1"
        )
        assert peer.command(mail).startswith("250")
        for rcpt in (
            "<a@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@example.net",
            "<c%d@e.nl>",
        ):
            assert peer.command(f"RCPT TO:{rcpt}").startswith("250")
        assert peer.message(MESSAGE).startswith("250")
    claim = listening.run(listening.spool.queue.read(only(listening).id))
    assert claim is not None
    envelope = claim.envelope
    assert (envelope.reverse_path, envelope.ret, envelope.envid) == (
        "Info@MijnBakkerij.nl",
        "HDRS",
        "f1",
    )
    assert (envelope.body_8bit, envelope.smtputf8) == (True, False)
    first, second = envelope.recipients
    assert (first.address, first.notify, first.orcpt) == (
        "a@example.net",
        frozenset({"SUCCESS", "DELAY"}),
        "rfc822;b@example.net",
    )
    assert (second.address, second.notify, second.orcpt) == ("c%d@e.nl", None, None)
    assert claim.received_at == NOON
    assert claim.expires_at == NOON + listening.config.spool.lifetime
    assert listening.lanes == [{"isp"}]


def test_the_null_sender_is_kept(listening: Listening) -> None:
    with listening.greeted() as peer:
        peer.mail("")
        peer.message(MESSAGE)
    claim = listening.run(listening.spool.queue.read(only(listening).id))
    assert claim is not None
    assert claim.envelope.reverse_path is None


def test_a_recipient_named_twice_gets_it_once(listening: Listening) -> None:
    with listening.greeted() as peer:
        peer.mail(SENDER, "a@example.net", "a@example.net", "A@example.net", "a@EXAMPLE.net")
        peer.message(MESSAGE)
    addresses = [each.address for each in only(listening).recipients]
    assert addresses == ["a@example.net", "A@example.net", "a@EXAMPLE.net"]


def test_the_id_in_the_reply_stands_in_the_received_field(listening: Listening) -> None:
    message_id = send(listening, hello="HELO KASSA\x07<b>").split()[2]

    async def stored() -> bytes:
        return b"".join([each async for each in listening.spool.queue.body(only_id)])

    only_id = only(listening).id
    trace = listening.run(stored()).partition(MESSAGE)[0].replace(b"\r\n\t", b" ").decode()
    assert trace.startswith("Received: from KASSA??b? ([127.0.0.1])")
    assert f"by {HOSTNAME} with SMTP id {message_id};" in trace.replace("\r\n ", " ")


def test_a_complete_message_is_not_repaired(listening: Listening) -> None:
    send(listening)
    assert only(listening).repairs == ()
    assert listening.bodies() == [MESSAGE]


def test_what_an_old_program_left_out_is_added_with_a_receipt(listening: Listening) -> None:
    content = b"Subject: Factuur\r\n\r\nHallo\r\n"
    message_id = send(listening, content).split()[2]
    repairs = dict(only(listening).repairs)
    assert repairs == {
        "added-date": "Mon, 02 Nov 2026 12:00:00 +0000",
        "added-from": SENDER,
        "added-message-id": f"<{message_id}@{HOSTNAME}>",
    }
    (stored,) = listening.bodies()
    assert stored.endswith(content)
    assert stored.count(b"\r\n\r\n") == 1
    assert only(listening).message_id == f"<{message_id}@{HOSTNAME}>"


def test_text_without_a_header_gets_one(listening: Listening) -> None:
    content = b"Hallo, hierbij de factuur\r\n"
    send(listening, content)
    assert "blank-line-inserted" in dict(only(listening).repairs)
    assert listening.bodies()[0].endswith(b"\r\n\r\n" + content)


def test_a_text_of_one_endless_line_is_no_header(listening: Listening) -> None:
    content = b"x" * 700_000 + b"\r\n"
    send(listening, content)
    assert "blank-line-inserted" in dict(only(listening).repairs)
    assert listening.bodies()[0].endswith(b"\r\n\r\n" + content)


def test_lone_line_ends_are_repaired_and_counted(listening: Listening) -> None:
    with listening.greeted() as peer:
        peer.mail()
        assert peer.command("DATA").startswith("354")
        peer.send(MESSAGE.replace(b"\r\n", b"\n") + b"a\rb\r\n.\r\n")
        assert peer.reply().startswith("250")
    assert dict(only(listening).repairs) == {"bare-lf": str(MESSAGE.count(b"\n")), "bare-cr": "1"}
    assert listening.bodies() == [MESSAGE + b"a b\r\n"]


def test_the_subject_is_kept_only_where_it_is_asked_for(tmp_path: Path) -> None:
    spool = SpoolSettings(url="sqlite:", reserve_bytes=0, keep_subjects=True)
    with Listening(tmp_path / "kept", client(), spool=spool) as listening:
        send(listening)
        assert only(listening).subject == "Factuur 1"
    with Listening(tmp_path / "not", client()) as listening:
        send(listening)
        assert only(listening).subject is None


def test_eight_bit_content_is_marked_though_nobody_said_so(listening: Listening) -> None:
    send(listening, MESSAGE + "Crème\r\n".encode())
    claim = listening.run(listening.spool.queue.read(only(listening).id))
    assert claim is not None
    assert claim.envelope.body_8bit


# --- Held, copied, routed ---


def test_in_the_sandbox_every_message_is_held(tmp_path: Path) -> None:
    with Listening(tmp_path, sandbox=True, smarthosts=()) as listening:
        with listening.connect() as peer:
            assert peer.reply() == f"220 {HOSTNAME} ESMTP SANDBOX, nothing is sent"
        with listening.connect() as peer:
            peer.greet().mail()
            assert peer.message(MESSAGE).endswith(" accepted; SANDBOX, nothing is sent")
        assert [each.held_for for each in only(listening).recipients] == [HeldFor.SANDBOX]
        assert listening.lanes == [set()]


def test_on_trial_every_message_is_held(tmp_path: Path) -> None:
    trial = Delivery(mode=DeliveryMode.HOLD)
    with Listening(tmp_path, client(), delivery=trial) as listening:
        assert send(listening).endswith(" accepted")
        assert [each.held_for for each in only(listening).recipients] == [HeldFor.TRIAL]
        assert listening.lanes == [set()]


def test_copies_go_to_those_who_do_not_get_it_anyway(tmp_path: Path) -> None:
    policy = SenderPolicy(bcc=("archief@mijnbakkerij.nl", RECIPIENT.upper()))
    with Listening(tmp_path, client(), sender=policy) as listening:
        send(listening)
        found = [(each.address, each.origin) for each in only(listening).recipients]
        assert found == [(RECIPIENT, "rcpt"), ("archief@mijnbakkerij.nl", "bcc")]
        claim = listening.run(listening.spool.queue.read(only(listening).id))
        assert claim is not None
        # Nobody hears of a copy that fails.
        assert claim.envelope.recipients[1].notify == frozenset({"NEVER"})


def test_each_recipient_goes_its_own_way(tmp_path: Path) -> None:
    smarthosts = tuple(Smarthost(name=name, host="127.0.0.1") for name in ("isp", "m365"))
    routes = (Route(recipient="*@example.org", smarthosts=("m365",)),)
    with Listening(tmp_path, client(), smarthosts=smarthosts, routes=routes) as listening:
        with listening.greeted() as peer:
            peer.mail(SENDER, "a@example.net", "b@example.org")
            peer.message(MESSAGE)
        assert [each.lane for each in only(listening).recipients] == ["isp", "m365"]
        assert listening.lanes == [{"isp", "m365"}]
