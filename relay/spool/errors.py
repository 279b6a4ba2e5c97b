"""What can go wrong with a spool.

SpoolError
├── SpoolFull      the disk, or SQLite, has no room left
│   └── NoRoomToUpgrade  none for the copy that is kept of an older spool
├── SpoolBusy      more commits wait than the disk can take
├── SpoolFailing   the disk failed to read, write or sync
│   └── SpoolGone  nothing can be recorded until the relay starts anew
├── SpoolDamaged   the file is not a spool, or is corrupted
├── VaultError     the tokens cannot be read or kept; mail with a password goes on
└── SpoolTooNew    a newer version of the relay made it
"""

from relay.reason import ReasonedError


class SpoolError(Exception):
    """The store failed; nothing of the operation is kept. The client is told 451 4.3.0."""


class SpoolFull(SpoolError):
    """No room: free some disk space. The client is told 452 4.3.1."""


class NoRoomToUpgrade(SpoolFull):
    """No room for the copy that is kept of a spool before it is changed: free some disk space."""

    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(f"the upgrade needs {needed_bytes} bytes free, there are {free_bytes}")
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class SpoolBusy(SpoolError):
    """The disk does not keep up; try again in a moment. The client is told 452 4.3.2."""


class SpoolFailing(SpoolError):
    """The disk failed; until it has been looked at nothing is promised. The client is told 451."""


class SpoolGone(SpoolFailing):
    """It makes no sense to wait: at its next start the relay finds what was under way, in doubt."""


class SpoolDamaged(SpoolError):
    """The file cannot be used as a spool: restore a backup, or move the file aside."""


class SpoolTooNew(SpoolError):
    """The schema is newer than this program: install the version that made it, or a later one."""

    def __init__(self, found: int, known: int, made_by: str | None = None) -> None:
        super().__init__(f"spool schema {found}, this program knows up to {known}")
        self.found = found
        self.known = known
        self.made_by = made_by
        """The version of the program that gave it this schema, where that is known."""


class VaultError(ReasonedError, SpoolError):
    """Tokens cannot be read or kept; says in Dutch (`nl`) and English (`en`) why, and what to do."""


class BodyDamaged(Exception):
    """The disk gave other bytes than it got: trouble of one message, which must not leave."""


def disk_cause(trouble: SpoolError) -> str:
    """The slug of what keeps the disk from taking anything new: disk-full or spool-failing."""
    return "disk-full" if isinstance(trouble, SpoolFull) else "spool-failing"
