"""An alarm to a command: an argument list without a shell, the alarm as JSON on its stdin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import cast

from presets.reply import sanitise

SECONDS = 20.0
"""Then the command is killed, and everything that it started in its process group."""

_MOST_OUTPUT_BYTES = 300
_LAST_WORDS_SECONDS = 0.5
_KEPT_NAMES = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


async def run(
    argv: Sequence[str], content: Mapping[str, object], seconds: float = SECONDS
) -> str | None:
    """None where it ended with 0, else why not, with the end of what it wrote.

    Nothing of the alarm is in its arguments or environment; of ours it gets the search path and
    the language only, since secrets may stand in the rest.
    """
    environment = {name: os.environ[name] for name in _KEPT_NAMES if name in os.environ}
    loop = asyncio.get_running_loop()
    try:
        transport, running = await loop.subprocess_exec(
            lambda: _Running(loop.create_future()),
            *argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=sys.platform != "win32",
        )
    except (OSError, ValueError) as error:
        return str(error)
    try:
        # Not asserted: those of uvloop are of another family.
        stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        # A command that does not read it has not failed. One that has ended already has closed it,
        # of which uvloop makes a RuntimeError.
        with contextlib.suppress(RuntimeError):
            stdin.write(json.dumps(content).encode() + b"\n")
            stdin.close()  # after all of it
        async with asyncio.timeout(seconds):
            await running.ended
    except TimeoutError:
        return f"not ready within {seconds:g} seconds"
    finally:
        if transport.get_returncode() is None:
            _kill(transport.get_pid())
        transport.close()  # also where something that it left behind holds its output open
    code = transport.get_returncode()
    if code == 0:
        return None
    said = sanitise(bytes(running.output), _MOST_OUTPUT_BYTES)
    return f"exit code {code}" + (f": {said}" if said else "")


class _Running(asyncio.SubprocessProtocol):
    """Takes all that the command writes, so that it never blocks, and keeps the end."""

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self.output = bytearray()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output += data
        del self.output[:-_MOST_OUTPUT_BYTES]

    def process_exited(self) -> None:
        # Its last words are in the pipe still: they come in this turn of the loop, or the next.
        self.ended.get_loop().call_later(_LAST_WORDS_SECONDS, self._end)

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)
