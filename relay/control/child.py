"""A child process with bounds: its time, its output and its environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_PIECE_BYTES = 65_536
_MOST_ERROR_BYTES = 8_192
_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "TZ"),
    *("TMPDIR", "TEMP", "TMP", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
    *("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH"),
    *("SYSTEMROOT", "WINDIR", "PATHEXT", "COMSPEC", "USERPROFILE"),
    *("APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "ProgramData"),
)
"""Where things are and which language is spoken; no secret has one of these names."""

Ending = Literal["exit", "timeout", "too-large"]


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. `code` is None where it was killed; `err` is the first of its stderr."""

    ending: Ending
    code: int | None
    out: bytes
    err: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a child may run, and how much it may write to stdout."""

    seconds: float
    most_bytes: int


def lean_environment(environ: Mapping[str, str], secrets: Sequence[str] = ()) -> dict[str, str]:
    """The environment for a child: what it needs to run, and the variables named in `secrets`."""
    return {
        **{name: environ[name] for name in (*_KEPT, *secrets) if name in environ},
        "PYTHONUTF8": "1",  # what it writes is UTF-8, on Windows too
    }


async def run_child(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, bounds: Bounds
) -> Finished:
    """Run a program to its end, without a shell and with nothing on stdin.

    Killed with everything that it started at the end of its time, when it writes too much, and
    when the caller is cancelled. Raises OSError: it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        cwd=directory,
        start_new_session=sys.platform != "win32",
    )
    out, err = bytearray(), bytearray()
    talk = asyncio.create_task(_read(process.stderr, err, _MOST_ERROR_BYTES, stop=False))
    ending: Ending | None = None
    try:
        async with asyncio.timeout(bounds.seconds):
            if await _read(process.stdout, out, bounds.most_bytes, stop=True):
                await talk
                await process.wait()
                ending = "exit"
            else:
                ending = "too-large"
    except TimeoutError:
        ending = "timeout"
    finally:
        talk.cancel()
        if ending != "exit":
            _kill(process)
            await process.wait()
    code = process.returncode if ending == "exit" else None
    return Finished(ending, code, bytes(out), err.decode("utf-8", "replace"))


async def _read(
    stream: asyncio.StreamReader | None, into: bytearray, most_bytes: int, *, stop: bool
) -> bool:
    """Read to the end; what is over the limit is dropped, or with `stop` ends the reading."""
    assert stream is not None
    while piece := await stream.read(_PIECE_BYTES):
        room = most_bytes - len(into)
        into += piece[:room]
        if stop and len(piece) > room:
            return False
    return True


def _kill(process: asyncio.subprocess.Process) -> None:
    """End it and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            # Its own session: the group has its number, and keeps it while anybody is in it.
            os.killpg(process.pid, signal.SIGKILL)
