"""Moving waiting mail between lanes: after a reload, and by failover.

The next smarthost of a route takes over when one is down, paused or out of quota, and the first
takes its mail back once it has shown that it works again. A message whose attempt is in doubt
stays where it may have arrived.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.config.model import Config
from relay.delivery.route import choose_lane, find_path
from relay.spool.model import Waiting
from relay.spool.protocol import Queue

_PAGE = 250  # messages read, and moved, at a time: other work goes in between


@dataclass(frozen=True, slots=True)
class Standing:
    """The smarthosts that wait, and those whose wait is over but that have not worked since."""

    blocked: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()


class Mover:
    """Moves mail; `standing` tells how the smarthosts stand at that moment."""

    def __init__(self, queue: Queue, standing: Callable[[], Standing]) -> None:
        self._queue = queue
        self._standing = standing
        self._turn = asyncio.Lock()
        self._asked = 0
        self._moved_for: Standing | None = None

    @property
    def is_stale(self) -> bool:
        """A smarthost stands otherwise than when mail was last moved."""
        return self._moved_for != self._standing()

    async def realign(self, config: Config) -> None:
        """Give all that waits the lane that routes and smarthosts of this moment say."""
        async with self._turn:
            await self._move(config, None)

    async def fail_over(self, config: Config) -> bool:
        """Look only at lanes whose mail may have another way now. True if something was moved."""
        self._asked += 1
        asked = self._asked
        async with self._turn:
            if asked != self._asked:
                return False  # whoever asked later looks at the same, and at more
            standing = self._standing()
            routes = [route.smarthosts for route in config.routes if len(route.smarthosts) > 1]
            leaving = {
                lane for names in routes for lane in names if _heir(names, lane, standing) != lane
            }
            moved = [await self._move(config, lane) for lane in sorted(leaving)]
            self._moved_for = standing
            return any(moved)

    async def _move(self, config: Config, lane: str | None) -> bool:
        after: int | None = 0
        moved = False
        while after is not None:
            page, after = await self._queue.waiting(lane, after, _PAGE)
            moves = _moves(config, page, self._standing())
            if moves:
                await self._queue.relane(moves)
                moved = True
        return moved


def _moves(
    config: Config, page: Sequence[Waiting], standing: Standing
) -> list[tuple[int, int, str]]:
    """Who belongs in another lane, as (message, position, lane)."""
    names = {smarthost.name for smarthost in config.smarthosts}
    lanes = ((each, lane_for(config, names, each, standing)) for each in page)
    return [(each.message, each.position, lane) for each, lane in lanes if lane != each.lane]


def lane_for(config: Config, names: set[str], waiting: Waiting, standing: Standing) -> str:
    """Where a recipient who waits should wait; `names` are those of the smarthosts."""
    if waiting.pinned in names:
        return str(waiting.pinned)
    path = find_path(config, waiting.client, waiting.sender or None, waiting.address)
    if waiting.lane not in path.smarthosts:
        return choose_lane(path, standing.blocked)
    if waiting.in_doubt:
        # It may have arrived through this smarthost; another must not send it again.
        return waiting.lane
    return _heir(path.smarthosts, waiting.lane, standing)


def _heir(path: Sequence[str], lane: str, standing: Standing) -> str:
    """Which smarthost of a path takes the mail that waits for `lane`; that itself: it stays.

    One that has not shown yet that it works gets mail only where nothing else is left: new mail
    tries it out.
    """
    sound = [name for name in path if name not in standing.blocked | standing.doubtful]
    if lane not in standing.blocked:
        earlier = path[: path.index(lane)]
        return next((name for name in earlier if name in sound), lane)
    open_ = [name for name in path if name not in standing.blocked]
    return next(iter([*sound, *open_]), lane)
