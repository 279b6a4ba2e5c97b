"""One run of `relay setup`: whether it may, the questions, and every way to end."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.cli.session import EXIT_UNCHECKED, stop, talk
from relay.cli.setup_questions import Collector
from relay.cli.setup_talk import yes
from relay.cli.setup_wishes import Wishes
from relay.cli.texts import text
from relay.config.fault import Language
from relay.setup.answers import read_answer
from relay.setup.questions import NO, YES, Question
from relay.setup.workplace import Workplace
from relay.spool.lock import SpoolInUse


def run(wishes: Wishes, target: Path, language: Language) -> int:
    """The exit code; ends by typer.Exit 2 where the options or the place are no good."""
    workplace = Workplace(target)
    if not wishes.unattended and not sys.stdin.isatty():
        stop(text("setup.no-terminal", language))
    collector = Collector(wishes, workplace, language)
    setup = _Setup(wishes, workplace, collector)
    done = False
    try:
        with _ended_in_order():
            code = setup.run()
        done = setup.is_written
        return code
    except (KeyboardInterrupt, EOFError):
        setup.tell_stopped()
        done = setup.is_written
        return EXIT_UNCHECKED
    except SpoolInUse as error:
        path = workplace.target
        stop(text("setup.busy", collector.language, path=path, pid=error.pid or "?"))
    except OSError as error:
        reason = error.strerror or str(error)
        path = error.filename or workplace.target
        stop(text("setup.unwritable", collector.language, path=path, reason=reason))
    finally:
        workplace.close(done=done)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """A window that is closed, or a polite kill, ends it as Ctrl-C does: no secret is left behind."""
    named = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    before = {each: signal.signal(each, signal.default_int_handler) for each in named if each}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Setup:
    def __init__(self, wishes: Wishes, workplace: Workplace, collector: Collector) -> None:
        self._wishes = wishes
        self._workplace = workplace
        self._collector = collector
        self.is_written = False

    def _text(self, key: str, /, **values: object) -> str:
        return text(key, self._collector.language, **values)

    def run(self) -> int:
        self._may_replace()
        self._workplace.open()
        if self._wishes.unattended:
            self._collector.complete()
            talk(*self._collector.summary_lines())
            if self._collector.proposed:
                names = ", ".join(self._collector.proposed)
                talk(self._text("setup.summary.proposed", names=names))
        else:
            talk(self._text("setup.welcome", path=self._workplace.target))
            if self._wishes.restart:
                self._workplace.draft.unlink(missing_ok=True)
            self._collector.take_up()
            self._collector.complete()
            while not self._collector.review():
                self._collector.complete()
        # Loaded here: the questions come the sooner.
        from relay.cli.setup_finish import Finish

        finish = Finish(self._wishes, self._workplace, self._collector)
        try:
            return finish.run()
        finally:
            self.is_written = finish.is_written

    def tell_stopped(self) -> None:
        path = self._workplace.target
        if self.is_written:
            talk("", self._text("setup.stopped-after", path=path))
            return
        if self._wishes.unattended:
            talk("", self._text("setup.not-written", path=path))
            return
        command = shlex.join(["relay", "setup", "--config", str(path)])
        talk("", self._text("setup.stopped", path=path, command=command))

    def _may_replace(self) -> None:
        """Exit 2, or no for an answer, where a relay.toml is there that may not be replaced."""
        path = self._workplace.target
        if self._wishes.replace or not path.exists():
            return
        if self._wishes.unattended:
            stop(self._text("setup.exists", path=path))
        question, at = Question("replace", NO, (YES, NO)), self._collector.situation
        if not yes(
            self._text("setup.replace", path=path),
            lambda typed: read_answer(question, typed, at),
            at.language,
        ):
            stop(self._text("setup.exists", path=path))
