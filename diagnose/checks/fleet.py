"""Many domains: each examined once, so many at a time, each result written down as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from diagnose.checks.fleet_journal import Journal
from diagnose.checks.fleet_tally import Tally
from diagnose.domain import Domain
from diagnose.finding import Examination, Severity, Verdict
from diagnose.wording import Language, finding

Examine = Callable[[Domain], Awaitable[Examination]]


@dataclass
class Fleet:
    """A run over many domains. `tell` hears each verdict as it comes.

    `prepare` is awaited once before the first domain. `write_error` says why no more results
    could be written; then nothing more is examined.
    """

    examine: Examine
    language: Language
    tally: Tally
    journal: Journal | None
    prepare: Callable[[], Awaitable[None]]
    tell: Callable[[Verdict], None] = lambda _: None
    write_error: str | None = None
    _left: Iterator[Domain] = field(default_factory=lambda: iter(()))

    def resume(self, listed: Iterable[Domain], *, again: bool) -> int:
        """Count what the journal holds of `listed` as done; how many that are.

        With `again` what could not be checked does not count. Raises as `Journal.results`.
        """
        if self.journal is None:
            return 0
        wanted = {domain.name for domain in listed}
        for result in self.journal.results():
            if result["target"] in wanted:
                self.tally.add(result)
        if again:
            self.tally.forget(Verdict.UNKNOWN)
        return self.tally.done

    async def run(self, domains: Sequence[Domain], at_once: int) -> None:
        """Examine what is not done yet, `at_once` domains at the same time.

        An interruption (Ctrl-C cancels the task) ends it as a return does: what is done stays.
        """
        left = [domain for domain in domains if domain.name not in self.tally]
        self._left = iter(left)
        try:
            if left:
                await self.prepare()
            async with asyncio.TaskGroup() as group:
                for _ in range(min(at_once, len(left))):
                    group.create_task(self._work())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()

    async def _work(self) -> None:
        for domain in self._left:
            if self.write_error is not None:
                return
            began = time.perf_counter()
            found = await self._examined(domain)
            self._done(found, time.perf_counter() - began)

    async def _examined(self, domain: Domain) -> Examination:
        try:
            return await self.examine(domain)
        except Exception as error:  # noqa: BLE001 - one domain must not end the others
            failed = finding(
                "common/check-failed",
                Severity.UNKNOWN,
                self.language,
                check=domain.name,
                error=f"{type(error).__name__}: {error}",
            )
            return Examination("fleet", domain.name, [failed])

    def _done(self, found: Examination, seconds: float) -> None:
        result = found.document(seconds)
        if self.journal is not None:
            try:
                self.journal.write(result)
            except OSError as error:
                self.write_error = self.write_error or error.strerror or str(error)
                return  # not on disk: the next run does it again
        self.tally.add(result)
        self.tell(found.verdict)
