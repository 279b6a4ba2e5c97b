"""The second half of `relay setup`: the trial, the file, and what follows once it is there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer

from relay.cli.ask import AnyDesk, NoAnswer, NoSpool, consult
from relay.cli.check import MARKS
from relay.cli.finding import Finding, verdict
from relay.cli.findings import is_held
from relay.cli.output import cell, print_json
from relay.cli.service_user import user_findings
from relay.cli.session import EXIT_PROBLEMS, EXIT_UNCHECKED, EXIT_USAGE, Session, talk
from relay.cli.setup_checks import Trial, service_directory, setup_finding, try_out
from relay.cli.setup_devices import Device, NoSearch, Search
from relay.cli.setup_questions import Collector, office_address
from relay.cli.setup_records import Records, examine_records
from relay.cli.setup_talk import ask_line
from relay.cli.setup_wishes import Wishes
from relay.cli.texts import text
from relay.clock import utc_now
from relay.config.defaults import own_hostname
from relay.config.fault import ConfigError
from relay.config.load import load
from relay.control.client import ApiError, Silent
from relay.control.documents import document
from relay.control.errors import Declined
from relay.setup.compose import Extras, client_name, compose, smarthost_name
from relay.setup.questions import LEARN, YES, Situation
from relay.setup.trial import keep_grant
from relay.setup.workplace import Workplace
from relay.spool.errors import SpoolError
from relay.spool.lock import SpoolInUse

_EXITS = {"fail": EXIT_PROBLEMS, "unknown": EXIT_UNCHECKED}
_NO_WAY_IN = (ApiError, Declined, NoAnswer, NoSpool, Silent, SpoolError, SpoolInUse, OSError)


class Finish:
    """From the answers to the file. Terminal errors (EOFError, KeyboardInterrupt) pass."""

    def __init__(self, wishes: Wishes, workplace: Workplace, collector: Collector) -> None:
        self._wishes = wishes
        self._workplace = workplace
        self._collector = collector
        self._names: dict[str, str] = {}  # of the files for the secrets
        self._kept: Path | None = None
        self._anyway = False
        self.is_written = False

    def run(self) -> int:
        """The exit code."""
        trial = self._tried()
        if not self.is_written:
            talk("", self._text("setup.not-written", path=self._workplace.target))
            return self._answer(trial, Records(), [])
        return self._after(trial)

    @property
    def _at(self) -> Situation:
        return self._collector.situation

    def _text(self, key: str, /, **values: object) -> str:
        return text(key, self._collector.language, **values)

    # --- the trial ---

    def _tried(self) -> Trial:
        """Try, and write what works, or what somebody wants written anyway."""
        trial = Trial()
        while True:
            staged = self._stage()
            try:
                trial = self._try(staged, trial)
            except ConfigError as error:
                talk(*(cell(fault.text(self._at.language)) for fault in error.faults))
                if self._wishes.unattended:
                    raise typer.Exit(EXIT_USAGE) from None
                trial = Trial([_no_file(error, self._at)])
            self._print(_lines(trial.findings))
            if trial.verdict not in _EXITS or not self._goes_on(trial):
                break
        if trial.verdict not in _EXITS or self._anyway:
            self._write()
        return trial

    def _try(self, staged: Path, before: Trial) -> Trial:
        if self._wishes.untested:
            session = self._session(staged)
            title = session.text("check.configuration")
            note = Finding("setup", "warning", title, session.text("setup.untested"))
            return Trial([note])
        talk("", self._text("setup.trying"))
        return try_out(staged, self._at, before, unattended=self._wishes.unattended)

    def _goes_on(self, trial: Trial) -> bool:
        """Whether to try again: as it is, or after another answer. Unattended: never."""
        if self._wishes.unattended:
            return False
        refused = any(
            each.id == "smarthost" and each.evidence.get("phase") == "auth"
            for each in trial.findings
        )
        retype = refused and "password" in self._collector.secrets
        case = "password" if retype else "again"
        then = self._text(f"setup.failed.{case}")
        while True:
            talk("", self._text("setup.failed", next=then))
            typed = ask_line("> ").strip()
            if typed == "anyway":
                self._anyway = True
                return False
            if typed or retype:
                self._collector.change(typed or "password")
                self._collector.complete()
            return True

    def _stage(self) -> Path:
        at, extras = self._at, self._wishes.extras
        stem = smarthost_name(at)
        self._names = {
            name: self._workplace.secret_file(stem if name == "password" else f"{stem}-app")
            for name in self._collector.secrets
        }
        written = compose(
            at,
            Extras(
                today=utc_now().date(),
                hostname=extras.get("hostname") or own_hostname(),
                secrets=self._names,
                spool_url=extras.get("spool_url"),
                web=extras.get("web"),
                ca_file=_absolute(extras.get("ca_file")),
                authority=extras.get("authority"),
                issuer_ca_file=_absolute(extras.get("issuer_ca_file")),
            ),
        )
        return self._workplace.stage(written, self._secrets())

    def _secrets(self) -> dict[str, str]:
        """The secrets by the names of their files."""
        return {self._names[name]: it for name, it in self._collector.secrets.items()}

    def _write(self) -> None:
        staged = self._workplace.trial / self._workplace.target.name
        owner = service_directory(load(staged))
        self._kept = self._workplace.install(self._secrets(), utc_now(), owner)
        self.is_written = True

    # --- after it is written ---

    def _after(self, trial: Trial) -> int:
        path = self._workplace.target
        session = self._session(path)
        self._print([self._text("setup.written", path=path)])
        if self._kept is not None:
            self._print([self._text("setup.replaced", kept=self._kept, path=path)])
        later = [*self._reloaded(session), *self._kept_consent(session, trial)]
        later += [each for each in user_findings(session, None) if each.severity == "error"]
        trial.findings += later
        self._print(_lines(later))
        devices = self._learned(session)
        records = examine_records(self._at, path, self._wishes.nameserver)
        self._print(records.lines)
        listener = session.config.listeners[0]
        address = office_address() if listener.host in ("0.0.0.0", "::") else listener.host
        values = {"address": address or listener.host, "port": listener.port}
        self._print(["", self._text("setup.next", **values)])
        return self._answer(trial, records, devices)

    def _session(self, path: Path) -> Session:
        return Session(load(path), self._wishes.as_json)

    def _reloaded(self, session: Session) -> list[Finding]:
        """Have a relay that runs take the new file into use."""
        if not is_held(session.config.spool.path):
            return []
        title = session.text("check.service")
        try:
            answer = asyncio.run(consult(session, lambda desk: desk.reload()))
        except (*_NO_WAY_IN, typer.Exit) as error:
            detail = session.text("setup.not-reloaded", reason=str(error) or "-")
            return [Finding("service", "warning", title, detail)]
        if not answer["applied"]:
            faults = "; ".join(each[session.language] for each in answer["faults"]) or "-"
            detail = session.text("setup.not-reloaded", reason=faults)
            return [Finding("service", "warning", title, detail)]
        if answer["needs_restart"]:
            keys = ", ".join(answer["needs_restart"])
            return [Finding("service", "warning", title, session.text("setup.restart", keys=keys))]
        return [Finding("service", "ok", title, session.text("setup.reloaded"))]

    def _kept_consent(self, session: Session, trial: Trial) -> list[Finding]:
        """Give the consent of the trial to the relay to come, or to the one that runs."""
        grant = trial.grant
        if grant is None:
            return []
        smarthost = session.config.smarthosts[0]

        async def keep(desk: AnyDesk) -> None:
            await desk.account_grant(smarthost.name, grant)

        values = {"username": smarthost.username or "", "name": smarthost.name}
        try:
            try:
                asyncio.run(consult(session, keep))
            except NoSpool:
                asyncio.run(keep_grant(session.config, smarthost.name, grant, utc_now))
        except (*_NO_WAY_IN, typer.Exit) as error:
            reason = str(error) or "-"
            return [setup_finding(session, "consent", "error", "lost", **values, reason=reason)]
        return []

    def _learned(self, session: Session) -> list[Device]:
        """The machines that sent something in a learning window, where one was wished for."""
        answers = self._at.answers
        if answers["machines"] != LEARN:
            return []
        client = client_name(answers["language"]) if answers["any_login"] == YES else None
        try:
            devices = Search(session, self._wishes, client).run()
        except NoSearch as error:
            talk(cell(session.text("setup.learn.trouble", reason=error)))
            return []
        if not devices:
            self._print([session.text("setup.learn.none")])
        refused = [each for each in devices if each.name is None]
        self._print([cell(session.text("setup.learn.found", **each.values())) for each in refused])
        return devices

    # --- what is told ---

    def _print(self, lines: Iterable[str]) -> None:
        """Results: on stdout, unless a document goes there."""
        for line in lines:
            print(line, file=sys.stderr if self._wishes.as_json else sys.stdout, flush=True)

    def _answer(self, trial: Trial, records: Records, devices: Sequence[Device]) -> int:
        """The document where one is wished for, and the exit code."""
        if self._wishes.as_json:
            answer: dict[str, Any] = document(
                "setup",
                verdict=verdict(trial.findings),
                path=str(self._workplace.target) if self.is_written else None,
                replaced=str(self._kept) if self._kept else None,
                answers=dict(self._at.answers),
                proposed=self._collector.proposed,
                findings=[each.document() for each in trial.findings],
                test_message=trial.test_message,
                devices=[each.document() for each in devices],
                spf=records.spf,
                dmarc=records.dmarc,
                publish=records.publish,
            )
            print_json(answer)
        return _EXITS.get(trial.verdict, 0)


def _lines(findings: Iterable[Finding]) -> list[str]:
    """As `relay check` shows them."""
    lines = []
    for finding in findings:
        lines.append(cell(f"{MARKS[finding.severity]:<2} {finding.title}: {finding.detail}"))
        lines += [f"   -> {cell(step)}" for step in finding.remedy]
    return lines


def _no_file(error: ConfigError, at: Situation) -> Finding:
    title = text("check.configuration", at.language)
    faults = "; ".join(fault.text(at.language) for fault in error.faults)
    return Finding("configuration", "error", title, faults)


def _absolute(file: str | None) -> str | None:
    return None if file is None else str(Path(file).absolute())
