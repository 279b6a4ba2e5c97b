"""`diagnose` from the page: run as a child process, and its document handed on as it is.

The relay does not import `diagnose`: the page shows what an engineer sees at a terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import relay
from presets.reply import sanitise
from relay.config.model import Config, Smarthost
from relay.config.references import references
from relay.config.secret import SecretRef
from relay.control.child import Bounds, Finished, lean_environment, run_child
from relay.control.documents import Document, document, time_text
from relay.control.errors import Declined

Check = Literal["connect", "tls", "auth", "spf", "dkim", "dmarc", "report"]
Format = Literal["html", "markdown"]

SECONDS = 120.0
"""More than the examiner gives itself: ten times its ten seconds for a step."""
MOST_BYTES = 2_000_000
MOST_AT_ONCE = 2

_FROM_HERE = (sys.executable, "-m", "diagnose")
_HOME = Path(relay.__file__).resolve().parents[1]  # where the packages of this version lie
_OF_DOMAINS = ("spf", "dkim", "dmarc")
_LONGEST = 255
_EXITS_WITH_DOCUMENT = (0, 1, 3)
_KEYRING = ("DBUS_SESSION_BUS_ADDRESS",)


class Busy(Declined):
    """As many examinations run as may run at once."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What to examine: a smarthost of the configuration or a domain, in the reader's language."""

    check: str
    domain: str | None = None
    smarthost: str | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Report:
    """The last report as files for the help desk."""

    at: datetime
    texts: dict[Format, bytes]


class Diagnoses:
    """The examinations of a running relay, and the last report that one of them made."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        command: Sequence[str] = _FROM_HERE,
        bounds: Bounds | None = None,
    ) -> None:
        self._clock = clock
        self._command = command
        self._bounds = bounds or Bounds(SECONDS, MOST_BYTES)
        self._running: set[asyncio.Task[object]] = set()
        self.report: Report | None = None

    async def run(self, inquiry: Inquiry, config: Config) -> Document:
        """Run one examination, and wait for it.

        `document` is what it printed, None with a `message` where it printed none. Raises
        Declined where the inquiry misses something, Busy where two run already.
        """
        arguments = arguments_for(inquiry, config)
        if len(self._running) >= MOST_AT_ONCE:
            raise Busy(
                f"er lopen al {MOST_AT_ONCE} onderzoeken; wacht tot er een klaar is",
                f"{MOST_AT_ONCE} examinations run already; wait until one has ended",
            )
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with tempfile.TemporaryDirectory(prefix="relay-diagnose-") as directory:
                return await self._run(inquiry, config, arguments, Path(directory))
        except OSError as error:
            reason = error.strerror or str(error)
            raise Declined(
                f"diagnose start niet: {reason}", f"diagnose does not start: {reason}"
            ) from error
        finally:
            self._running.discard(task)

    def stop(self) -> None:
        """Cancel whoever waits for an examination, and so end it."""
        for task in self._running:
            task.cancel()

    async def _run(
        self, inquiry: Inquiry, config: Config, arguments: list[str], directory: Path
    ) -> Document:
        files: dict[Format, Path] = {
            "html": directory / "report.html",
            "markdown": directory / "report.md",
        }
        writing: list[str] = []
        if inquiry.check == "report":
            writing = [f"--html={files['html']}", f"--markdown={files['markdown']}"]
        ended = await run_child(
            [*self._command, arguments[0], *writing, *arguments[1:]],
            lean_environment(os.environ, _variables(inquiry.check, config)),
            _HOME,
            self._bounds,
        )
        if all(file.is_file() for file in files.values()):
            self.report = Report(self._clock(), {each: _text(files[each]) for each in files})
        found = _document(ended)
        return document(
            "diagnose",
            check=inquiry.check,
            arguments=["diagnose", *arguments],
            exit_code=ended.code,
            document=found,
            message=None if found is not None else _message(ended, self._bounds.seconds),
            report_at=time_text(self.report.at) if self.report is not None else None,
        )


def arguments_for(inquiry: Inquiry, config: Config) -> list[str]:
    """The arguments of `diagnose`. Raises Declined: a smarthost or a domain is missing.

    What was typed stands behind `=` or `--`, so that it is never taken for an option.
    """
    check, shared = inquiry.check, ["--json", f"--lang={_language(inquiry.language)}"]
    if check not in get_args(Check):
        names = ", ".join(get_args(Check))
        raise Declined(f"kies een onderzoek uit {names}", f"choose an examination from {names}")
    file = [] if config.path is None else [f"--config={config.path.absolute()}"]
    if check == "report":
        domain = _typed(inquiry.domain) if inquiry.domain else None
        return [check, *shared, *([f"--domain={domain}"] if domain else file)]
    if check in _OF_DOMAINS:
        joined = [] if check == "dmarc" else file
        return [check, *shared, *joined, "--", _typed(inquiry.domain)]
    smarthost = _smarthost(inquiry.smarthost, config)
    if check == "auth":
        return [check, *shared, *file, f"--smarthost={smarthost.name}"]
    trusted = [f"--ca-file={smarthost.ca_file.absolute()}"] if smarthost.ca_file else []
    host = f"[{smarthost.host}]" if ":" in smarthost.host else smarthost.host
    return [check, *shared, *trusted, "--", f"{host}:{smarthost.port}"]


def _smarthost(name: str | None, config: Config) -> Smarthost:
    """The one named, or the only one."""
    found = [each for each in config.smarthosts if name in (None, each.name)]
    if len(found) != 1 or config.path is None:
        names = ", ".join(each.name for each in config.smarthosts) or "-"
        raise Declined(f"noem een smarthost: {names}", f"name a smarthost: {names}")
    return found[0]


def _typed(domain: str | None) -> str:
    if not domain or len(domain) > _LONGEST or not domain.isprintable():
        raise Declined(
            "noem een domein: het deel achter de @", "name a domain: the part behind the @"
        )
    return domain


def _language(language: str) -> str:
    return "nl" if language == "nl" else "en"


def _variables(check: str, config: Config) -> list[str]:
    """The names of the variables with the secrets that this examination has to read."""
    needed: list[SecretRef] = []
    if check in ("auth", "report"):  # these log in, by a configuration that has to be whole
        needed = list(_secrets(config))
    elif check == "dkim":
        needed = [each.key for each in config.dkim]
    named = [each.name for each in needed if each.kind == "env"]
    return [*named, *(_KEYRING if any(each.kind == "keyring" for each in needed) else ())]


def _secrets(value: object) -> list[SecretRef]:
    """Every secret that a part of the configuration names."""
    return [each for each in references(value) if isinstance(each, SecretRef)]


def _document(ended: Finished) -> Document | None:
    if ended.code not in _EXITS_WITH_DOCUMENT:
        return None
    try:
        found = json.loads(ended.out)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _message(ended: Finished, seconds: float) -> dict[str, str]:
    """Why there is no document; what the examiner says is in the language that it was asked in."""
    if ended.ending == "timeout":
        return {
            "nl": f"het onderzoek was na {seconds:g} seconden niet klaar en is gestopt",
            "en": f"the examination was not done after {seconds:g} seconds and was stopped",
        }
    if ended.ending == "too-large":
        return {
            "nl": "het onderzoek gaf te veel uitvoer en is gestopt",
            "en": "the examination wrote too much and was stopped",
        }
    said = "\n".join(sanitise(line) for line in ended.err.splitlines() if line.strip())
    if said:
        return {"nl": said, "en": said}
    return {
        "nl": f"diagnose eindigde zonder uitkomst (code {ended.code})",
        "en": f"diagnose ended without a result (code {ended.code})",
    }


def _text(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(MOST_BYTES)
