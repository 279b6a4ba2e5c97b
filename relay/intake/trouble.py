"""Why a message cannot be taken, as the reply that tells it."""

import logging
import secrets

from relay.monitor import mail_log
from relay.spool.errors import SpoolBusy, SpoolFull

log = logging.getLogger(__name__)


class Refused(Exception):
    """The message cannot be taken; `slug` and `details` are of the reply."""

    def __init__(self, slug: str, **details: object) -> None:
        super().__init__(slug)
        self.slug = slug
        self.details = details


def refused_by(error: Exception) -> Refused:
    """The reply for any error, which is logged or alarmed.

    A fault of ours is 4yz, so that the client keeps its message, and shows nothing of the error
    but a reference to the log.
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, SpoolFull):
        mail_log.alert("disk-full", str(error))
        return Refused("disk-full")
    if isinstance(error, SpoolBusy):
        return Refused("busy")
    reference = secrets.token_hex(4)
    log.error("session fault %s", reference, exc_info=error)
    return Refused("internal", reference=reference)
