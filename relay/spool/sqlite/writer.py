"""What makes commits, away from the loops that ask for them.

Whatever waits while a commit syncs becomes the next commit, so the cost of a sync is shared by
all callers of that moment.
"""

from collections.abc import Callable
from typing import Any, Concatenate, Protocol, TypeVar

from relay.spool.errors import SpoolBusy, SpoolError, SpoolFull

T = TypeVar("T")

Deed = Callable[Concatenate[Any, ...], T]
"""A function of a module, not a closure: it may run in another process, and its values with it.
Its first argument is the connection that writes."""

_MOST_WAITING = 5000


class Writer(Protocol):
    """Runs deeds on the connection that writes."""

    @property
    def trouble(self) -> SpoolError | None:
        """Why the disk takes nothing new at the moment."""

    async def run(self, deed: Deed[T], *values: object, begins: bool = False) -> T:
        """The result of `deed(connection, *values)`; on return what it did is synced.

        What `begins` something, a message or an attempt, is refused while the disk is full; the
        rest has the ballast's room. A caller that is cancelled does not stop the commit. Raises
        SpoolError, or what the deed raised; then nothing of it is kept.
        """

    async def gone(self) -> None:
        """Returns when nothing can be written any more, whatever is done about the disk."""

    async def close(self) -> None:
        """Commit what waits, and end."""


def insist_on_room(trouble: SpoolError | None, waiting: int, *, begins: bool) -> None:
    """Refuse work that would wait in vain, or too long. Raises SpoolError."""
    if trouble is not None and (begins or not isinstance(trouble, SpoolFull)):
        raise type(trouble)(*trouble.args)
    if waiting > _MOST_WAITING:
        raise SpoolBusy("too many commits are waiting")
