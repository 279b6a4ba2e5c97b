"""What `diagnose` finds out for the setup: run as a child process, as the relay's page does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import relay
from presets.reply import sanitise
from relay.control.child import Bounds, lean_environment, run_child
from relay.setup.questions import Found

_HOME = Path(relay.__file__).resolve().parents[1]
_BOUNDS = Bounds(60.0, 2_000_000)
_STEP_SECONDS = 5
_EXITS_WITH_DOCUMENT = (0, 1, 3)


class NotExamined(Exception):
    """`diagnose` gave no document; the text is its own reason."""


@dataclass(frozen=True, slots=True)
class Examiner:
    """`diagnose` in one language; all its DNS goes to `nameserver` where one is named."""

    language: str
    nameserver: str | None = None

    async def discover(self, address: str) -> tuple[tuple[Found, ...], dict[str, Any]]:
        """The servers that an address's domain leads to, the surest first, and the document.

        Raises NotExamined.
        """
        document = await self._run(["presets", "discover"], address)
        return tuple(_found(each) for each in document["settings"]), document

    async def spf(self, domain: str, config: Path, *, ordernow: bool) -> dict[str, Any]:
        """Whether the domain's record covers all that sends for it. Raises NotExamined."""
        beside = [] if ordernow else ["--no-ordernow"]
        return await self._run(["spf", f"--config={config}", *beside], domain)

    async def dmarc(self, domain: str) -> dict[str, Any]:
        """The domain's DMARC policy. Raises NotExamined."""
        return await self._run(["dmarc"], domain)

    async def _run(self, command: Sequence[str], subject: str) -> dict[str, Any]:
        dns = [f"--nameserver={self.nameserver}"] if self.nameserver else []
        shared = ["--json", f"--lang={self.language}", f"--timeout={_STEP_SECONDS}", *dns]
        # What was typed stands behind --, so that it is never taken for an option.
        arguments = [sys.executable, "-m", "diagnose", *command, *shared, "--", subject]
        try:
            ended = await run_child(arguments, lean_environment(os.environ), _HOME, _BOUNDS)
        except OSError as error:
            raise NotExamined(error.strerror or str(error)) from error
        if ended.code not in _EXITS_WITH_DOCUMENT:
            raise NotExamined(sanitise(ended.err, 500) or f"{ended.ending} {ended.code}")
        found: dict[str, Any] = json.loads(ended.out)
        return found


def _found(each: dict[str, Any]) -> Found:
    return Found(
        way=each["found_by"],
        evidence=each["evidence"],
        preset=each["preset"],
        host=each["host"],
        port=each["port"],
        tls=each["tls"],
    )
