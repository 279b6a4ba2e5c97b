"""What can go wrong with a spool.

SpoolError
├── SpoolFull      the disk, or SQLite, has no room left
├── SpoolBusy      more commits wait than the disk can take
├── SpoolDamaged   the file is not a spool, or is corrupted
└── SpoolTooNew    a newer version of the relay made it
"""


class SpoolError(Exception):
    """The store failed; nothing of the operation is kept. The client is told 451 4.3.0."""


class SpoolFull(SpoolError):
    """No room: free some disk space. The client is told 452 4.3.1."""


class SpoolBusy(SpoolError):
    """The disk does not keep up; try again in a moment. The client is told 452 4.3.2."""


class SpoolDamaged(SpoolError):
    """The file cannot be used as a spool: restore a backup, or move the file aside."""


class SpoolTooNew(SpoolError):
    """The schema is newer than this program: install the version that made it, or a later one."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"spool schema {found}, this program knows up to {known}")
        self.found = found
        self.known = known
