"""Checks side by side: each bounded in time, none hiding another, each named while it waits."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from diagnose.finding import Finding, Severity
from diagnose.wording import Language, finding

if TYPE_CHECKING:
    from diagnose.resolver import Resolver

STEPS_IN_ALL = 10
"""A whole command takes at most so many times the limit of a step."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What every check is told. `timeout_seconds` bounds one network step."""

    language: Language = "en"
    timeout_seconds: float = 10.0
    nameserver: tuple[str, int] | None = None
    ca_file: Path | None = None
    family: Literal[4, 6] | None = None
    may_talk: bool = False  # progress on a terminal
    shared: Resolver | None = None  # what many examinations at once ask together

    def resolver(self) -> Resolver:
        """The shared one, else one of dnspython that asks `--nameserver` or the system's servers."""
        if self.shared is not None:
            return self.shared
        from diagnose.dns import make_resolver

        return make_resolver(self.nameserver, self.timeout_seconds)

    def talk(self, text: str) -> None:
        """Say on stderr what is being waited for; nothing off a terminal."""
        if self.may_talk:
            print(text, file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Check:
    """One examination: `name` is shown while it runs and in what is said when it fails."""

    name: str
    run: Callable[[], Awaitable[Sequence[Finding]]]


async def run_checks(checks: Sequence[Check], circumstances: Circumstances) -> list[Finding]:
    """The findings of all checks, in the order of the checks.

    A check that raises, or that is not done when the time of the whole command is over, becomes
    a finding of severity unknown.
    """
    limit = circumstances.timeout_seconds * STEPS_IN_ALL
    tasks = [asyncio.create_task(_run(check, circumstances)) for check in checks]
    if not tasks:
        return []
    try:
        _, late = await asyncio.wait(tasks, timeout=limit)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    for task in late:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    findings: list[Finding] = []
    for check, task in zip(checks, tasks, strict=True):
        if task in late or task.cancelled():
            findings.append(_unfinished(check, circumstances, limit))
        else:
            findings += task.result()
    return findings


async def _run(check: Check, circumstances: Circumstances) -> Sequence[Finding]:
    circumstances.talk(f"... {check.name}")
    try:
        return await check.run()
    except Exception as error:  # noqa: BLE001 - one check must not hide the others
        what = f"{type(error).__name__}: {error}"
        return [
            finding(
                "common/check-failed",
                Severity.UNKNOWN,
                circumstances.language,
                check=check.name,
                error=what,
            )
        ]


def _unfinished(check: Check, circumstances: Circumstances, seconds: float) -> Finding:
    return finding(
        "common/check-timed-out",
        Severity.UNKNOWN,
        circumstances.language,
        check=check.name,
        seconds=f"{seconds:g}",
    )
