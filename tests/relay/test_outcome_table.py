"""What a smarthost's reply means for a message, row by row."""

from dataclasses import dataclass
from typing import Literal

import pytest

from presets.reply import Reply
from presets.verdict import Phase
from relay.delivery.outcome import Blame, Judgement, Server, judge_transcript
from relay.smarthost.transcript import Transcript
from relay.spool.model import Outcome

DELIVERED, DEFERRED = Outcome.DELIVERED, Outcome.DEFERRED
HELD, FAILED = Outcome.HELD, Outcome.FAILED
NOBODY, MESSAGE, UNSURE = Blame.NOBODY, Blame.MESSAGE, Blame.UNSURE
SMARTHOST, ACCOUNT, QUOTA = Blame.SMARTHOST, Blame.ACCOUNT, Blame.QUOTA
KEEP, DROP = False, True

Step = Literal["mail", "rcpt", "data", "dot"]
STEPS: tuple[Step, ...] = ("mail", "rcpt", "data", "dot")


def reply(text: str) -> Reply:
    return Reply.of(int(text[:3]), [text[4:]])


@dataclass
class Dialog:
    """A transaction, everything in order unless told otherwise; `rcpt` has a reply a recipient."""

    mail: str = "250 2.1.0 ok"
    rcpt: tuple[str, ...] = ("250 2.1.5 ok",)
    data: str | None = "354 go ahead"
    dot: str | None = "250 2.0.0 queued"
    broken: bool = False
    parting: str | None = None
    answered: int | None = None  # of the recipients, before it broke

    def judge(self, provider: str | None = None, logged_in: bool = True) -> Judgement:
        transcript = Transcript(
            mail=reply(self.mail) if self.mail else None,
            recipients=[reply(each) for each in self.rcpt[: self.answered]],
            data=reply(self.data) if self.data else None,
            dot=reply(self.dot) if self.dot else None,
            broken="closed" if self.broken else None,
            parting=reply(self.parting) if self.parting else None,
        )
        transcript.phase = self._phase(transcript)
        transcript.whole = transcript.phase is Phase.DOT
        return judge_transcript(transcript, len(self.rcpt), Server(provider, logged_in))

    def _phase(self, transcript: Transcript) -> Phase:
        if transcript.mail is None:
            return Phase.MAIL
        if len(transcript.recipients) < len(self.rcpt):
            return Phase.RCPT
        if self.broken and self.data and self.data.startswith("354") and self.parting != "body":
            return Phase.DOT
        return Phase.DATA if transcript.dot is None else Phase.DOT


def refused_at(step: Step, text: str) -> Dialog:
    """One recipient; the server refuses at `step`, and what follows is as servers answer then."""
    match step:
        case "mail":
            return Dialog(
                mail=text, rcpt=("503 5.5.1 no MAIL",), data="503 5.5.1 no MAIL", dot=None
            )
        case "rcpt":
            return Dialog(rcpt=(text,), data="554 5.5.1 no valid recipients", dot=None)
        case "data":
            return Dialog(data=text, dot=None)
        case "dot":
            return Dialog(dot=text)


def verdict(judgement: Judgement, at: int = 0) -> tuple[Outcome, Blame, bool]:
    return judgement.fates[at].outcome, judgement.fates[at].blame, judgement.drop


GMAIL_QUOTA = "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail"
M365_QUOTA = "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"
SEND_AS = "554 5.2.252 SendAsDenied; info@bakkerij.nl not allowed to send as x@bakkerij.nl"

ROWS = [
    # Row 2: codes about the login, wherever they come.
    *[
        (step, f"{code} 5.7.0 log in first", None, DEFERRED, ACCOUNT, KEEP)
        for step in STEPS
        for code in (530, 534, 535)
    ],
    *[(step, "538 5.7.11 encryption required", None, DEFERRED, SMARTHOST, KEEP) for step in STEPS],
    *[(step, "454 4.7.0 Temporary failure", None, DEFERRED, ACCOUNT, KEEP) for step in STEPS],
    ("mail", "530 5.7.0 Must issue a STARTTLS command first", None, DEFERRED, SMARTHOST, KEEP),
    # Row 2: known trouble of quota, connection, service.
    ("mail", GMAIL_QUOTA, "gmail", DEFERRED, QUOTA, KEEP),
    ("rcpt", GMAIL_QUOTA, "gmail", DEFERRED, QUOTA, KEEP),
    ("dot", GMAIL_QUOTA, "gmail", DEFERRED, QUOTA, KEEP),
    ("dot", M365_QUOTA, "microsoft365", DEFERRED, QUOTA, KEEP),
    ("dot", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "microsoft365",
     DEFERRED, QUOTA, KEEP),
    # ... and the codes that mean a quota, whatever the words and whoever speaks.
    *[
        (step, text, None, DEFERRED, QUOTA, KEEP)
        for step in STEPS
        for text in (
            "432 4.3.2 slow down please",
            "452 4.5.3 no more recipients",
            "550 5.4.5 enough for today",
            "554 5.2.0 SubmissionQuotaExceeded",
        )
    ],
    ("mail", "452 4.3.1 Insufficient system storage", None, DEFERRED, SMARTHOST, KEEP),
    ("mail", "554 5.7.1 blocked using zen.spamhaus.org", None, DEFERRED, SMARTHOST, KEEP),
    # Row 3: who it is sent as.
    ("mail", "553 5.7.1 <a@b.nl>: Sender address rejected: not owned by user x", None,
     HELD, NOBODY, KEEP),
    ("rcpt", "553 5.7.1 <a@b.nl>: Sender address rejected: not owned by user x", None,
     HELD, NOBODY, KEEP),
    ("dot", SEND_AS, "microsoft365", HELD, NOBODY, KEEP),
    ("dot", "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
     "microsoft365", HELD, NOBODY, KEEP),
    # Rows 4 and 5: other refusals for good, whatever their words.
    ("mail", "550 we do not like you", None, FAILED, NOBODY, KEEP),
    ("mail", "555 5.5.4 unsupported parameter", None, FAILED, NOBODY, KEEP),
    ("rcpt", "550 5.1.1 no such user", None, FAILED, NOBODY, KEEP),
    ("rcpt", "550 flurble", None, FAILED, NOBODY, KEEP),
    ("rcpt", "599 flurble", None, FAILED, NOBODY, KEEP),
    ("rcpt", "552 5.2.2 mailbox full", None, FAILED, NOBODY, KEEP),
    ("rcpt", "552 5.2.2 quota exceeded", None, FAILED, NOBODY, KEEP),
    ("rcpt", "550 5.7.1 host mx.b.nl said: 550 blocked using zen.spamhaus.org", None,
     FAILED, NOBODY, KEEP),
    ("rcpt", "554 5.7.1 <a@b.nl>: Relay access denied", None, FAILED, NOBODY, KEEP),
    ("data", "554 5.7.1 no", None, FAILED, NOBODY, KEEP),
    ("dot", "554 5.7.1 Message rejected as spam", None, FAILED, NOBODY, KEEP),
    ("dot", "552 5.3.4 message too big", None, FAILED, NOBODY, KEEP),
    # Row 6: protocol confusion.
    *[
        (step, f"{code} 5.5.1 what?", None, DEFERRED, UNSURE, DROP)
        for step in STEPS
        for code in (500, 502, 503, 504)
    ],
    *[(step, "501 5.5.4 syntax", None, DEFERRED, UNSURE, DROP) for step in STEPS],
    *[(step, "501 syntax", None, DEFERRED, UNSURE, DROP) for step in STEPS],
    ("mail", "501 5.1.7 bad sender", None, HELD, NOBODY, KEEP),
    ("mail", "501 5.1.0 bad address", None, FAILED, NOBODY, KEEP),
    ("rcpt", "501 5.1.3 bad recipient", None, FAILED, NOBODY, KEEP),
    # Row 7: later.
    ("mail", "451 4.3.0 local error", None, DEFERRED, MESSAGE, KEEP),
    ("rcpt", "450 4.2.0 <a@b.nl>: Recipient address rejected: Greylisted", None,
     DEFERRED, MESSAGE, KEEP),
    ("rcpt", "450 4.1.1 try again", None, DEFERRED, MESSAGE, KEEP),
    ("rcpt", "452 4.2.2 mailbox full", None, DEFERRED, MESSAGE, KEEP),
    ("rcpt", "499 flurble", None, DEFERRED, MESSAGE, KEEP),
    ("data", "451 4.3.0 local error", None, DEFERRED, MESSAGE, KEEP),
    ("dot", "451 4.7.1 content check failed", None, DEFERRED, MESSAGE, KEEP),
    *[(step, "421 4.7.0 too busy", None, DEFERRED, SMARTHOST, DROP) for step in STEPS],
    # Row 7: odd codes.
    *[(step, "850 odd", None, DEFERRED, UNSURE, DROP) for step in STEPS],
    *[(step, "199 odd", None, DEFERRED, UNSURE, DROP) for step in STEPS],
    ("mail", "354 go ahead", None, DEFERRED, UNSURE, DROP),
    ("data", "250 2.0.0 ok", None, DEFERRED, UNSURE, DROP),
    ("dot", "354 go ahead", None, DEFERRED, UNSURE, DROP),
]  # fmt: skip


@pytest.mark.parametrize(("step", "text", "provider", "outcome", "blame", "drop"), ROWS)
def test_a_refusal_means_what_the_table_says(
    step: Step, text: str, provider: str | None, outcome: Outcome, blame: Blame, drop: bool
) -> None:
    judgement = refused_at(step, text).judge(provider)
    assert verdict(judgement) == (outcome, blame, drop)


@pytest.mark.parametrize("rcpt", ["250 2.1.5 ok", "251 will forward", "252 cannot verify"])
@pytest.mark.parametrize("dot", ["250 2.0.0 ok", "200 fine", "251 2.0.0 ok", "299 ok"])
def test_any_2yz_is_yes_at_rcpt_and_at_the_dot(rcpt: str, dot: str) -> None:
    judgement = Dialog(rcpt=(rcpt,), dot=dot).judge()
    assert verdict(judgement) == (DELIVERED, NOBODY, KEEP)
    assert judgement.passes


@pytest.mark.parametrize(
    ("text", "in_doubt"),
    [("850 odd", True), ("354 go", True), ("554 no", False), ("451 no", False)],
)
def test_an_odd_reply_to_the_dot_leaves_the_message_in_doubt(text: str, in_doubt: bool) -> None:
    assert refused_at("dot", text).judge().fates[0].in_doubt is in_doubt


def test_each_recipient_has_its_own_fate() -> None:
    rcpt = ("250 ok", "451 4.2.1 later", "550 5.1.1 unknown", "250 ok")
    judgement = Dialog(rcpt=rcpt).judge()
    assert [fate.outcome for fate in judgement.fates] == [DELIVERED, DEFERRED, FAILED, DELIVERED]
    assert not judgement.drop


def test_a_refused_message_does_not_fail_a_recipient_who_was_put_off() -> None:
    judgement = Dialog(rcpt=("450 4.2.0 greylisted", "250 ok"), dot="554 5.7.1 spam").judge()
    assert [fate.outcome for fate in judgement.fates] == [DEFERRED, FAILED]


def test_what_follows_from_a_refused_mail_is_neither_judged_nor_confusion() -> None:
    judgement = Dialog(
        mail="553 5.1.8 no such domain", rcpt=("503 5.5.1 no MAIL",) * 3, data="503 x", dot=None
    ).judge()
    assert [fate.outcome for fate in judgement.fates] == [FAILED] * 3
    assert {fate.phase for fate in judgement.fates} == {Phase.MAIL}
    assert not judgement.drop


@pytest.mark.parametrize("data", ["503 5.5.1 no RCPT", "554 5.5.1 no valid recipients"])
def test_the_refusal_of_data_without_recipients_is_no_refusal_of_its_own(data: str) -> None:
    judgement = Dialog(rcpt=("450 4.2.0 later", "550 5.1.1 no"), data=data, dot=None).judge()
    assert [fate.outcome for fate in judgement.fates] == [DEFERRED, FAILED]
    assert not judgement.drop


def test_354_without_a_recipient_leaves_each_its_own_refusal() -> None:
    judgement = Dialog(rcpt=("450 4.2.0 later", "550 5.1.1 no"), dot=None).judge()
    assert [fate.outcome for fate in judgement.fates] == [DEFERRED, FAILED]


@pytest.mark.parametrize(
    "text",
    [GMAIL_QUOTA, "550 5.7.1 blocked using zen.spamhaus.org", "535 5.7.8 no", "454 4.7.1 no relay"],
)
def test_trouble_that_only_one_recipient_meets_does_not_stop_the_lane(text: str) -> None:
    judgement = Dialog(rcpt=("250 ok", text)).judge("gmail")
    assert [fate.outcome for fate in judgement.fates] == [DELIVERED, DEFERRED]
    assert judgement.worst is None
    assert judgement.fates[1].blame is UNSURE


def test_relay_denied_without_a_login_is_no_fault_of_the_recipient() -> None:
    denied = refused_at("rcpt", "554 5.7.1 <a@b.nl>: Relay access denied")
    assert verdict(denied.judge(logged_in=False)) == (DEFERRED, SMARTHOST, KEEP)
    some = Dialog(rcpt=("250 ok", "554 5.7.1 Relay access denied"))
    assert verdict(some.judge(logged_in=False), at=1) == (DEFERRED, UNSURE, KEEP)


BROKEN = [
    ("before any reply", Dialog(mail="", answered=0, data=None, dot=None), UNSURE, False),
    ("after MAIL", Dialog(answered=0, data=None, dot=None), UNSURE, False),
    ("before the reply to DATA", Dialog(data=None, dot=None), UNSURE, False),
    ("after the dot", Dialog(dot=None), UNSURE, True),
    ("after the dot, with 421", Dialog(dot=None, parting="421 4.4.2 bye"), UNSURE, True),
    ("at RCPT with 421 unasked", Dialog(answered=0, data=None, dot=None, parting="421 4.7.0 bye"),
     SMARTHOST, False),
    ("after RCPT's own 421", Dialog(rcpt=("421 4.7.0 bye", "250"), answered=1, data=None, dot=None),
     SMARTHOST, False),
    ("at RCPT with 550 unasked", Dialog(answered=0, data=None, dot=None, parting="550 bye"),
     UNSURE, False),
]  # fmt: skip


@pytest.mark.parametrize(("when", "dialog", "blame", "in_doubt"), BROKEN)
def test_a_connection_that_breaks_fails_nothing(
    when: str, dialog: Dialog, blame: Blame, in_doubt: bool
) -> None:
    dialog.broken = True
    judgement = dialog.judge()
    assert {fate.outcome for fate in judgement.fates} == {DEFERRED}
    assert judgement.fates[-1].blame is blame
    assert judgement.fates[-1].in_doubt is in_doubt
    assert judgement.drop
    assert not judgement.passes


def test_a_mail_refusal_stands_though_the_connection_broke_after_it() -> None:
    dialog = Dialog(mail="550 5.7.1 no", answered=0, data=None, dot=None, broken=True)
    assert verdict(dialog.judge()) == (FAILED, NOBODY, DROP)


def test_a_refused_recipient_is_not_in_doubt_when_the_reply_to_the_dot_is_lost() -> None:
    judgement = Dialog(rcpt=("550 5.1.1 no", "250 ok"), dot=None, broken=True).judge()
    assert [fate.outcome for fate in judgement.fates] == [FAILED, DEFERRED]
    assert [fate.in_doubt for fate in judgement.fates] == [False, True]


def test_a_refusal_in_mid_message_is_the_messages() -> None:
    transcript = Transcript(
        Phase.DATA, reply("250 ok"), [reply("250 ok")], reply("354 go"), broken="x"
    )
    transcript.parting = reply("552 5.3.4 message too big")
    judgement = judge_transcript(transcript, 1, Server())
    assert verdict(judgement) == (FAILED, NOBODY, DROP)


@pytest.mark.parametrize("data", ["250 2.1.5 ok", "199 odd", "850 odd"])
def test_out_of_step_no_refusal_is_believed(data: str) -> None:
    """It may be the refusal of another recipient: nobody gets a report about it."""
    judgement = Dialog(rcpt=("250 stale", "550 5.1.1 no"), data=data, dot=None).judge()
    assert {fate.outcome for fate in judgement.fates} == {DEFERRED}
    assert {fate.blame for fate in judgement.fates} == {UNSURE}
    assert judgement.drop
    assert not judgement.passes


@pytest.mark.parametrize(
    "dialog",
    [
        Dialog(mail="550 no", rcpt=("250 surplus",), data="503 no MAIL", dot=None),
        Dialog(rcpt=("550 5.1.1 no",), data="250 surplus", dot=None),
    ],
)
def test_a_reply_too_many_shows_before_the_last_one_came(dialog: Dialog) -> None:
    assert verdict(dialog.judge()) == (DEFERRED, UNSURE, DROP)


def test_a_server_that_said_more_than_it_was_asked_is_not_believed() -> None:
    transcript = Transcript(
        Phase.DATA, reply("250 ok"), [reply("550 no"), reply("250 ok")], reply("451 later"), None
    )
    transcript.broken, transcript.out_of_step = "x", True
    judgement = judge_transcript(transcript, 2, Server())
    assert [verdict(judgement, at) for at in (0, 1)] == [(DEFERRED, UNSURE, DROP)] * 2
    assert not any(fate.in_doubt for fate in judgement.fates)


def test_no_recipient_is_ever_without_a_fate() -> None:
    for step in STEPS:
        for code in ("250", "354", "421", "450", "503", "550", "850"):
            for broken in (False, True):
                dialog = refused_at(step, f"{code} x")
                dialog.rcpt, dialog.broken = dialog.rcpt * 3, broken
                assert len(dialog.judge().fates) == 3
