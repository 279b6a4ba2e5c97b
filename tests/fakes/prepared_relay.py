"""`relay serve` in a process that was prepared for it: limits of the system, patience, names."""

from pathlib import Path

from fakes.relay_process import RelayProcess


class PreparedRelay(RelayProcess):
    """A relay whose process runs `preparation` first: lines of Python."""

    preparation: tuple[str, ...] = ()

    def program(self, command: str) -> tuple[str, ...]:
        if command != "serve":
            return super().program(command)
        run = "import runpy; runpy.run_module('relay', run_name='__main__')"
        return "-c", "\n".join([*self.preparation, run])

    def memory_bytes(self) -> int:
        """What the process has in memory, the pages that it shares included (Linux)."""
        return int(self._stat("statm").split()[1]) * 4096

    def cpu_seconds(self) -> float:
        """What the process has computed so far (Linux)."""
        fields = self._stat("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def limits(self) -> str:
        """What the system lets the process use (Linux)."""
        return self._stat("limits")

    def _stat(self, name: str) -> str:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/{name}").read_text(encoding="ascii")


def patience(**seconds: float) -> tuple[str, ...]:
    """The preparation for a relay with other values of `relay.intake.context.Patience`."""
    given = ", ".join(f"{name}={value}" for name, value in seconds.items())
    return (
        "import functools, relay.service",
        "from relay.intake.context import Patience",
        f"other = Patience({given})",
        "relay.service.Intake = functools.partial(relay.service.Intake, patience=other)",
    )


def open_files(limit: int) -> tuple[str, ...]:
    """The preparation for a relay that may have this many files open, and no more."""
    return (
        "import resource",
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))",
    )


WITHOUT_UVLOOP = ("import sys; sys.modules['uvloop'] = None",)
