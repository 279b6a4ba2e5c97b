"""What a smarthost's replies mean for a message: delivered, deferred, held or failed.

The one place that judges permanence. Everything unknown and not plainly permanent is deferred;
trouble of the smarthost, the network, TLS, the login or a quota touches no message.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from presets.explain import judge
from presets.reply import Reply
from presets.verdict import Phase, Scope
from relay.smarthost.transcript import Transcript
from relay.spool.model import Outcome


class Blame(StrEnum):
    """Whose trouble a deferral is, hence whose schedule waits."""

    NOBODY = "nobody"
    MESSAGE = "message"
    """This message or recipient: its own schedule counts, and at its end it fails."""
    UNSURE = "unsure"
    """Perhaps ours, perhaps the message's: its own schedule counts, at its end it is held."""
    SMARTHOST = "smarthost"
    """All mail of the lane waits."""
    ACCOUNT = "account"
    """The login is paused until somebody acts."""
    QUOTA = "quota"
    """All mail of the lane waits."""


OF_THE_LANE = frozenset({Blame.SMARTHOST, Blame.ACCOUNT, Blame.QUOTA})
OF_THE_MESSAGE = frozenset({Blame.MESSAGE, Blame.UNSURE})


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient, or of all at once."""

    outcome: Outcome
    phase: Phase
    reply: Reply | None
    blame: Blame = Blame.NOBODY
    cause: str = ""
    in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """The fates in order of the recipients; `drop`: the connection must not be used again."""

    fates: tuple[Fate, ...]
    drop: bool = False

    @property
    def worst(self) -> Fate | None:
        """The first deferral that is not the message's own: what the whole lane must heed."""
        return next((fate for fate in self.fates if fate.blame in OF_THE_LANE), None)

    @property
    def too_much(self) -> bool:
        """The smarthost says that we send too fast, or too much."""
        return any(fate.blame is Blame.QUOTA for fate in self.fates)

    @property
    def passes(self) -> bool:
        """The smarthost gave an answer about the message itself: nothing is in mail's way."""
        return self.worst is None and any(fate.blame is not Blame.UNSURE for fate in self.fates)


@dataclass(frozen=True, slots=True)
class Server:
    """Who speaks: the preset of its wording, and whether it had accepted a login."""

    provider: str | None = None
    logged_in: bool = True


TOO_MANY_RECIPIENTS = "too-many-recipients"
_ACCOUNT_CODES = frozenset({530, 534, 535, 538, 454})
_CONFUSION_CODES = frozenset({500, 502, 503, 504})
_LANE_SCOPES = {
    Scope.ACCOUNT: Blame.ACCOUNT,
    Scope.QUOTA: Blame.QUOTA,
    Scope.TLS: Blame.SMARTHOST,
    Scope.CONNECTION: Blame.SMARTHOST,
    Scope.SERVICE: Blame.SMARTHOST,
}


def judge_transcript(transcript: Transcript, recipients: int, server: Server) -> Judgement:
    """The fate of each of `recipients`, who were sent in that order.

    A recipient's own refusal decides about that recipient alone, whatever became of the others.
    """
    if _is_out_of_step(transcript):
        said = transcript.dot or transcript.data
        if transcript.out_of_step:
            said = transcript.parting
        # No refusal is believed: a message that has left whole may have been taken.
        fate = Fate(
            *(Outcome.DEFERRED, transcript.phase, said, Blame.UNSURE, "out-of-step"),
            in_doubt=transcript.whole,
        )
        return Judgement((fate,) * recipients, drop=True)
    drop = transcript.broken is not None or any(map(_is_confusion, _answers(transcript)))
    if transcript.mail is not None and not transcript.mail.positive:
        fate = judge_reply(transcript.mail, Phase.MAIL, server)
        return Judgement((_divided(fate, recipients, accepted=False),) * recipients, drop)
    rest = _fate_of_accepted(transcript, server)
    accepted = any(reply.positive for reply in transcript.recipients)
    fates = [rest] * recipients
    for index, reply in enumerate(transcript.recipients[:recipients]):
        if not reply.positive:
            fate = judge_reply(reply, Phase.RCPT, server)
            # Where it takes others, neither the server nor our account stands in the way.
            fates[index] = acquitted(fate) if accepted else fate
    return Judgement(tuple(_divided(fate, recipients, accepted) for fate in fates), drop)


def _divided(fate: Fate, recipients: int, accepted: bool) -> Fate:
    """Too many recipients at once are nobody's fault: another transaction takes those left over.

    Where not one was taken, or one alone is too many, the account has had as many as it may for
    now.
    """
    if fate.cause != TOO_MANY_RECIPIENTS:
        return fate
    if recipients > 1 and (accepted or fate.phase in (Phase.DATA, Phase.DOT)):
        return replace(fate, outcome=Outcome.DEFERRED, blame=Blame.NOBODY)
    if fate.outcome is Outcome.DEFERRED:
        return replace(fate, blame=Blame.QUOTA)
    return fate


def judge_reply(reply: Reply, phase: Phase, server: Server) -> Fate:
    """What a refusal in `phase` means; the table of the design, row by row."""
    verdict = judge(reply, provider=server.provider, phase=phase)
    blame = _LANE_SCOPES.get(verdict.scope)
    if reply.code in _ACCOUNT_CODES or (verdict.known and blame is not None):
        blame = blame or Blame.ACCOUNT
        return Fate(Outcome.DEFERRED, phase, reply, blame, verdict.cause)
    if verdict.cause == "relay-denied" and not server.logged_in:
        # It should relay for our address, and does not: no fault of the recipient.
        return Fate(Outcome.DEFERRED, phase, reply, Blame.SMARTHOST, verdict.cause)
    if verdict.known and verdict.scope is Scope.SENDER and reply.permanent:
        return Fate(Outcome.HELD, phase, reply, cause=verdict.cause)
    if _is_confusion(reply) and reply.code != 421:
        in_doubt = phase is Phase.DOT and not (reply.transient or reply.permanent)
        return Fate(Outcome.DEFERRED, phase, reply, Blame.UNSURE, verdict.cause, in_doubt)
    if reply.permanent:
        return Fate(Outcome.FAILED, phase, reply, cause=verdict.cause)
    blame = Blame.SMARTHOST if reply.code == 421 else Blame.MESSAGE
    return Fate(Outcome.DEFERRED, phase, reply, blame, verdict.cause)


def _fate_of_accepted(transcript: Transcript, server: Server) -> Fate:
    """What became of the recipients that the server did not refuse one by one."""
    data, dot = transcript.data, transcript.dot
    if transcript.broken is not None:
        return _fate_of_broken(transcript, server)
    if dot is not None:
        if dot.positive:
            return Fate(Outcome.DELIVERED, Phase.DOT, dot)
        return judge_reply(dot, Phase.DOT, server)
    if data is not None and data.code != 354:
        return judge_reply(data, Phase.DATA, server)
    return Fate(Outcome.DEFERRED, transcript.phase, None, Blame.UNSURE, "connection-lost")


def _fate_of_broken(transcript: Transcript, server: Server) -> Fate:
    phase, said = transcript.phase, transcript.parting
    if transcript.in_doubt:
        return Fate(Outcome.DEFERRED, Phase.DOT, said, Blame.UNSURE, "in-doubt", in_doubt=True)
    if said is None:
        # A 421 may come as the answer to a command just as well as unasked.
        said = next((each for each in _answers(transcript) if each.code == 421), None)
    # Unasked, only a 421, or a refusal of the message that was on its way, means something.
    in_body = transcript.data is not None and transcript.data.code == 354
    if said is not None and (said.code == 421 or (in_body and not said.positive)):
        return judge_reply(said, phase, server)
    return Fate(Outcome.DEFERRED, phase, None, Blame.UNSURE, "connection-lost")


def _is_out_of_step(transcript: Transcript) -> bool:
    """No reply is sure to belong to its command: a refusal may be another recipient's.

    Signs of it are DATA answered by what cannot answer it, a recipient taken without a sender, and
    a message taken without a recipient. The reply that is then left over may still be on its way.
    """
    if transcript.out_of_step or transcript.taken_against_its_word:
        return True
    mail, data = transcript.mail, transcript.data
    taken = any(reply.positive for reply in transcript.recipients)
    if mail is not None and not mail.positive:
        return mail.permanent and taken
    if data is None or data.code == 354 or data.transient or data.permanent:
        return False
    return taken or data.positive


def acquitted(fate: Fate) -> Fate:
    """The same where other mail passes: not the lane waits, but the message by itself."""
    return replace(fate, blame=Blame.UNSURE) if fate.blame in OF_THE_LANE else fate


def _answers(transcript: Transcript) -> list[Reply]:
    """The refusals that tell something: without those that only follow from an earlier one.

    After a refused MAIL, or without any recipient, 503 to what was sent along is in order.
    """
    mail, data = transcript.mail, transcript.data
    if mail is None or not mail.positive:
        return [mail] if mail else []
    refused = [reply for reply in transcript.recipients if not reply.positive]
    if len(refused) == len(transcript.recipients):
        return refused
    if data is not None and data.code != 354:
        return [*refused, data]
    return [*refused, transcript.dot] if transcript.dot and not transcript.dot.positive else refused


def _is_confusion(reply: Reply) -> bool:
    """After such a refusal the two sides may not mean the same command, or the server leaves."""
    if reply.code == 421 or reply.code in _CONFUSION_CODES:
        return True
    if reply.code == 501:
        return not (reply.enhanced or "").startswith("5.1.")
    return not (reply.transient or reply.permanent)
