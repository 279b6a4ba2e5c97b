"""`relay serve` in a process of its own, to which a real second is a minute, or more."""

from pathlib import Path

from fakes import hurried_serve
from fakes.relay_process import RelayProcess
from fakes.scaled_time import ScaledClock


class HurriedRelay(RelayProcess):
    """A relay that lives by `clock`, across restarts too. Its commands live by the machine's."""

    def __init__(
        self,
        directory: Path,
        clock: ScaledClock,
        tables: str = "",
        *,
        listener: str = "",
        top: str = "",
    ) -> None:
        super().__init__(directory, tables, listener=listener, top=top)
        self.clock = clock

    def program(self, command: str) -> tuple[str, ...]:
        if command != "serve":
            return super().program(command)
        clock = self.clock
        numbers = str(clock.factor), repr(clock.origin), clock.start.isoformat()
        return str(hurried_serve.__file__), *numbers
