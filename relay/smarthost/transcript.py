"""What a server said in one mail transaction."""

from dataclasses import dataclass, field

from presets.reply import Reply
from presets.verdict import Phase

_CONFUSED = frozenset({500, 501, 502, 503, 504})


@dataclass(slots=True)
class Transcript:
    """What the server said, as far as it went.

    `broken` is set when the connection failed before the end; once the message has left whole it
    is then in doubt: the server may have taken it.
    """

    phase: Phase = Phase.MAIL
    mail: Reply | None = None
    recipients: list[Reply] = field(default_factory=list)
    data: Reply | None = None
    dot: Reply | None = None
    """The reply to the message: to the final dot, or to BDAT LAST."""
    whole: bool = False
    """The final dot, or BDAT LAST with the message, has left."""
    ahead: bool = False
    """The envelope had left with the end of the message before."""
    by_bdat: bool = False
    """It left by BDAT, all at once."""
    broken: str | None = None
    parting: Reply | None = None  # said unasked before the connection failed
    silent: bool = False
    """It was the relay that would not wait any longer."""
    out_of_step: bool = False
    """The server said more than it was asked: a refusal in here may be that of another command."""

    @property
    def accepted(self) -> bool:
        """The server took the sender and at least one recipient."""
        if self.mail is None or not self.mail.positive:
            return False
        return any(reply.positive for reply in self.recipients)

    @property
    def may_be_sent(self) -> bool:
        """The server waits for the message, for one recipient at least."""
        return self.data is not None and self.data.code == 354 and self.accepted

    @property
    def never_began(self) -> bool:
        """The server was gone, or leaving, before it answered anything, and it had no message."""
        if self.mail is not None:
            return self.mail.code == 421 or self.ahead_failed
        return self.broken is not None and not self.whole

    @property
    def refused_in_body(self) -> bool:
        """Unasked, the server refused the message while it was on its way."""
        under_way = self.phase is Phase.DATA and self.data is not None and self.data.code == 354
        return under_way and self.parting is not None and not self.parting.positive

    @property
    def refused(self) -> bool:
        """The server has answered so that it cannot take the message, whatever it still says."""
        if self.mail is not None and not self.mail.positive:
            return True
        return self.phase is Phase.DOT and not self.accepted

    @property
    def in_doubt(self) -> bool:
        """The message has left whole, nothing refused it, and the reply to it never came."""
        return self.broken is not None and self.whole and not self.refused

    @property
    def taken_against_its_word(self) -> bool:
        """The server took the message after it had refused it: who knows which it meant."""
        return self.refused and self.dot is not None and self.dot.positive

    @property
    def ahead_failed(self) -> bool:
        """The envelope that was sent ahead seems to have been dropped, or not understood: better
        wait for each reply."""
        if not self.ahead or self.whole:
            return False
        return self.silent if self.mail is None else self.mail.code in _CONFUSED

    @property
    def chunking_failed(self) -> bool:
        """The server offers BDAT and seems not to understand it: better send by DATA."""
        if not self.by_bdat or self.refused:
            return False
        return self.dot is None or self.dot.code in _CONFUSED
