"""Memory of a peer, all its processes together.

A figure is the sum of the PSS of its processes, as they share pages, and the peak the highest of
samples 0.1 s apart. Of a peer with one process it is VmRSS and VmHWM, which misses nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.peers import Peer

_SAMPLE_SECONDS = 0.1


class Peak:
    """The most bytes seen while `watched`."""

    bytes = 0


def resident(peer: Peer) -> int:
    """Bytes in memory now."""
    processes = peer.processes()
    if len(processes) == 1:
        return _field(processes[0], "status", "VmRSS")
    return sum(_field(process, "smaps_rollup", "Pss") for process in processes)


def most_since_start(peer: Peer) -> int:
    """The most bytes that each of its processes ever had in memory."""
    return sum(_field(process, "status", "VmHWM") for process in peer.processes())


@contextmanager
def watched(peer: Peer) -> Iterator[Peak]:
    """Gives the peak of what happens inside."""
    peak = Peak()
    processes = peer.processes()
    if len(processes) == 1:
        Path(f"/proc/{processes[0]}/clear_refs").write_text("5")  # VmHWM starts anew.
        yield peak
        peak.bytes = _field(processes[0], "status", "VmHWM")
        return
    done = threading.Event()

    def sample() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            peak.bytes = max(peak.bytes, resident(peer))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _field(process: int, file: str, name: str) -> int:
    """In bytes; 0 for a process that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
