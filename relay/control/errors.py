"""What an operator's request can run into.

Declined      the request itself cannot be carried out: a bad address, an unknown smarthost
Forbidden     the owner's settings do not allow it
CannotListen  an address of our own cannot be listened on
"""

import errno

from relay.reason import ReasonedError


class Declined(ReasonedError):
    """Nothing was done, and why: `nl` and `en` say what to ask instead."""


class Forbidden(Declined):
    """The owner's settings do not allow it; `nl` and `en` name the setting."""


class CannotListen(Exception):
    """`host`:`port` cannot be listened on; `key` is the configuration's name for it."""

    def __init__(self, host: str, port: int, key: str, reason: OSError) -> None:
        super().__init__(f"{host} port {port}: {reason.strerror or reason}")
        self.host = host
        self.port = port
        self.key = key
        self.reason = reason

    @property
    def taken(self) -> bool:
        """True if another program already listens there."""
        return self.reason.errno == errno.EADDRINUSE

    @property
    def forbidden(self) -> bool:
        """True if the system keeps the port for others (below 1024 on Unix)."""
        return self.reason.errno in {errno.EACCES, errno.EPERM}
