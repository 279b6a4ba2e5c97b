"""A failure that is not one message's, in the words that log, page and alarms have for it."""

from dataclasses import dataclass

from presets.reply import Reply
from relay.spool.ledger_entry import BlockedBy

BY_OPERATOR = "paused-by-operator"
"""The cause of a pause that somebody asked for."""
ALARMING_FAILURES = 4  # in a row: after about eight minutes somebody should know


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of a smarthost, in plain words for the log; `alarm` when it will not pass by itself."""

    by: BlockedBy
    cause: str
    reply: Reply | None
    detail: str
    alarm: bool = False
