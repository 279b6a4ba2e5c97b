"""Where an alarm goes: webhook, mail, command and system log, each independent of the others.

What fails is a value and a line in the log. None of it waits for mail, and no mail for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from presets.reply import sanitise
from relay.config.model import Alarm, Config, Smarthost
from relay.monitor import alarm_command, alarm_webhook
from relay.monitor.alarm_mail import Dial, Letter, mail
from relay.monitor.alarm_texts import notice_text, subject_line
from relay.monitor.alarms import Notice, Stage

log = logging.getLogger(__name__)

SCHEMA = "relay-alarm/1"
SYSTEM_LOG = Path("/dev/log")

_MAIL_FACILITY = 2 << 3  # RFC 5424 section 6.2.1
_SEVERITIES = {Stage.RAISED: 1, Stage.REMINDER: 1, Stage.SUPPRESSED: 4}
_NOTICE = 5
_LONGEST_LINE_BYTES = 1024
_MOST_SMARTHOSTS = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a notice on one path. `target` names no secret; `error` is empty if it went."""

    way: str
    target: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """One notice on its way, with what the paths need to know."""

    notice: Notice
    config: Config
    at: datetime

    def text(self) -> str:
        """The notice in the language of the configuration."""
        return notice_text(self.notice, self.config.language)

    def document(self) -> dict[str, object]:
        """The notice as webhooks and commands get it; `text` is what chat services show."""
        notice = self.notice
        return {
            "schema": SCHEMA,
            "host": self.config.hostname,
            "stage": notice.stage.value,
            "kind": notice.kind,
            "subject": notice.subject,
            "text": f"[{self.config.hostname}] {self.text()}",
            "since": _time_text(notice.since),
            "at": _time_text(self.at),
            "count": notice.count,
        }


Send = Callable[[Telling], Awaitable[str | None]]
"""Tries one path; None where the notice went, else why not."""


@dataclass(frozen=True, slots=True)
class AlarmPaths:
    """Tells on every path that the configuration names. `tls` is for webhooks; None: the system's."""

    dial: Dial
    tls: ssl.SSLContext | None = None
    system_log: Path = SYSTEM_LOG
    command_seconds: float = alarm_command.SECONDS

    async def tell(self, telling: Telling, skipped: Collection[tuple[str, str]] = ()) -> list[Told]:
        """On all paths at once, but those (way, target) in `skipped`; what came of each."""
        tries = [
            self._try(way, target, send, telling)
            for alarm in telling.config.alarms
            for way, target, send in self._paths(alarm)
            if (way, target) not in skipped
        ]
        return list(await asyncio.gather(*tries))

    def _paths(self, alarm: Alarm) -> Iterator[tuple[str, str, Send]]:
        if alarm.webhook is not None:
            yield (
                "webhook",
                alarm_webhook.host_of(alarm.webhook),
                partial(self._post, alarm.webhook),
            )
        if alarm.command is not None:
            yield "command", alarm.command[0], partial(self._run, alarm.command)
        if alarm.syslog:
            yield "syslog", str(self.system_log), self._write_syslog
        if alarm.mail_to is not None:
            yield "mail", alarm.mail_to, partial(self._mail, alarm.mail_to, alarm.smarthost)

    async def _try(self, way: str, target: str, send: Send, telling: Telling) -> Told:
        try:
            error = await send(telling)
        except Exception as bug:
            log.exception("an alarm by %s", way)
            error = type(bug).__name__
        if error is None:
            return Told(way, target)
        log.error("an alarm did not go by %s (%s): %s", way, target, error)
        return Told(way, target, sanitise(error))

    async def _post(self, url: str, telling: Telling) -> str | None:
        return await alarm_webhook.post(url, telling.document(), self.tls)

    async def _run(self, argv: Sequence[str], telling: Telling) -> str | None:
        return await alarm_command.run(argv, telling.document(), self.command_seconds)

    async def _mail(self, to: str, smarthost: str | None, telling: Telling) -> str | None:
        """By the named smarthost; where that fails by the others, one after the other."""
        config = telling.config
        subject = subject_line(telling.notice, config.language, config.hostname)
        letter = Letter(to, subject, telling.text(), telling.at)
        errors = []
        for each in _in_order(config, smarthost, telling.notice):
            error = await mail(letter, config, each, self.dial)
            if error is None:
                return None
            errors.append(f"{each.name}: {error}")
        return "; ".join(errors) or "there is no smarthost"

    async def _write_syslog(self, telling: Telling) -> str | None:
        if not hasattr(socket, "AF_UNIX"):
            return "this system has no system log of this kind"
        severity = _SEVERITIES.get(telling.notice.stage, _NOTICE)
        line = f"<{_MAIL_FACILITY | severity}>relay[{os.getpid()}]: {telling.text()}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.connect(str(self.system_log))
                sock.send(line.encode()[:_LONGEST_LINE_BYTES])
        except OSError as error:
            return f"{self.system_log}: {error.strerror or error}"
        return None


def _in_order(config: Config, named: str | None, notice: Notice) -> list[Smarthost]:
    """The smarthost that is named first, the one that the alarm is about last."""
    about = notice.values.get("smarthost")
    chosen = sorted(config.smarthosts, key=lambda each: (each.name != named, each.name == about))
    return chosen[:_MOST_SMARTHOSTS]


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
