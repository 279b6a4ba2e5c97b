"""What a smarthost's replies mean for a message: delivered, deferred, held or failed.

The one place that judges permanence. Everything unknown and not plainly permanent is deferred;
trouble of the smarthost, the network, TLS, the login or a quota touches no message.
"""

from dataclasses import dataclass
from enum import StrEnum

from presets.explain import judge
from presets.reply import Reply
from presets.verdict import Phase, Scope
from relay.smarthost.transaction import Transcript
from relay.spool.model import Outcome


class Blame(StrEnum):
    """Whose trouble a deferral is, hence whose schedule waits."""

    NOBODY = "nobody"
    MESSAGE = "message"  # this message or recipient: its own schedule counts
    SMARTHOST = "smarthost"  # all mail of the lane waits
    ACCOUNT = "account"  # the login is paused until somebody acts
    QUOTA = "quota"  # all mail of the lane waits


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
        lane = (Blame.SMARTHOST, Blame.ACCOUNT, Blame.QUOTA)
        return next((fate for fate in self.fates if fate.blame in lane), None)


_ACCOUNT_CODES = frozenset({530, 534, 535, 538, 454})
_CONFUSION_CODES = frozenset({500, 502, 503, 504})
_LANE_SCOPES = {
    Scope.ACCOUNT: Blame.ACCOUNT,
    Scope.QUOTA: Blame.QUOTA,
    Scope.TLS: Blame.SMARTHOST,
    Scope.CONNECTION: Blame.SMARTHOST,
    Scope.SERVICE: Blame.SMARTHOST,
}


def judge_transcript(transcript: Transcript, recipients: int, provider: str | None) -> Judgement:
    """The fate of each of `recipients`, who were sent in that order."""
    whole = _fate_of_all(transcript, provider)
    if whole is not None:
        return Judgement((whole,) * recipients, _is_confusion(whole))
    fates = tuple(
        _fate_of_one(reply, transcript, provider) for reply in transcript.recipients[:recipients]
    )
    return Judgement(fates, any(_is_confusion(fate) for fate in fates))


def judge_reply(reply: Reply, phase: Phase, provider: str | None) -> Fate:
    """What a refusal in `phase` means; the table of the design, row by row."""
    verdict = judge(reply, provider=provider, phase=phase)
    known_scope = verdict.scope if verdict.known else None
    blame = _LANE_SCOPES.get(known_scope) if known_scope is not None else None
    if reply.code in _ACCOUNT_CODES or blame is not None:
        blame = blame or _LANE_SCOPES.get(verdict.scope, Blame.ACCOUNT)
        return Fate(Outcome.DEFERRED, phase, reply, blame, verdict.cause)
    if known_scope is Scope.SENDER and reply.permanent:
        return Fate(Outcome.HELD, phase, reply, cause=verdict.cause)
    if reply.code in _CONFUSION_CODES or _is_vague_syntax_error(reply):
        return Fate(Outcome.DEFERRED, phase, reply, Blame.MESSAGE, verdict.cause)
    if reply.permanent:
        return Fate(Outcome.FAILED, phase, reply, cause=verdict.cause)
    blame = Blame.SMARTHOST if reply.code == 421 else Blame.MESSAGE
    return Fate(Outcome.DEFERRED, phase, reply, blame, verdict.cause)


def _fate_of_all(transcript: Transcript, provider: str | None) -> Fate | None:
    """The fate that all recipients share; None where each has its own."""
    mail, data, dot = transcript.mail, transcript.data, transcript.dot
    if transcript.broken is not None:
        if mail is not None and not mail.positive:
            return judge_reply(mail, Phase.MAIL, provider)
        return _fate_of_broken(transcript, provider)
    if mail is not None and not mail.positive:
        return judge_reply(mail, Phase.MAIL, provider)
    if not any(reply.positive for reply in transcript.recipients):
        return None
    if data is not None and data.code != 354:
        return judge_reply(data, Phase.DATA, provider)
    if dot is not None and not dot.positive:
        return judge_reply(dot, Phase.DOT, provider)
    return None


def _fate_of_broken(transcript: Transcript, provider: str | None) -> Fate:
    parting = transcript.parting
    if parting is not None and not parting.positive:
        # It said why before it hung up; without a final dot of ours that is an answer.
        if not transcript.in_doubt:
            return judge_reply(parting, transcript.phase, provider)
        return Fate(
            Outcome.DEFERRED, transcript.phase, parting, Blame.MESSAGE, "in-doubt", in_doubt=True
        )
    cause = "in-doubt" if transcript.in_doubt else "connection-lost"
    return Fate(
        Outcome.DEFERRED,
        transcript.phase,
        None,
        Blame.MESSAGE,
        cause,
        in_doubt=transcript.in_doubt,
    )


def _fate_of_one(reply: Reply, transcript: Transcript, provider: str | None) -> Fate:
    if reply.positive:
        return Fate(Outcome.DELIVERED, Phase.DOT, transcript.dot)
    return judge_reply(reply, Phase.RCPT, provider)


def _is_vague_syntax_error(reply: Reply) -> bool:
    return reply.code == 501 and not (reply.enhanced or "").startswith("5.1.")


def _is_confusion(fate: Fate) -> bool:
    reply = fate.reply
    return reply is not None and (
        reply.code == 421
        or reply.code in _CONFUSION_CODES
        or _is_vague_syntax_error(reply)
        or not 200 <= reply.code <= 599
        or (fate.outcome is Outcome.DEFERRED and reply.positive)
    )
