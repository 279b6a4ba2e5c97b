"""`diagnose fleet`: SPF, DMARC and provider of many domains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diagnose.finding import Examination, Verdict
from diagnose.options import Run, examines, stop

if TYPE_CHECKING:
    from diagnose.checks.fleet import Fleet
    from diagnose.checks.fleet_journal import Journal
    from diagnose.checks.fleet_list import DomainList
    from diagnose.spf.coverage import Senders

_LOADING_SECONDS = 60.0


@examines
async def fleet(
    run: Run,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Domains, one a line, # for comments; - for stdin."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="All results, a line of JSON for each domain; given again it goes on where it stopped.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Of --output redo what could not be checked.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1000, help="Domains, and DNS questions, at the same time.")
    ] = 32,
    via: Annotated[
        list[str], typer.Option("--via", metavar="PRESET", help="A provider that sends for all.")
    ] = [],  # noqa: B006 - Typer's form of a list without a default
    ip: Annotated[
        list[str], typer.Option("--ip", metavar="IP", help="An address that sends for all.")
    ] = [],  # noqa: B006
    no_ordernow: Annotated[
        bool, typer.Option("--no-ordernow", help="OrderNow does not send for these domains.")
    ] = False,
) -> Examination:
    """Examine SPF, DMARC and the provider of many domains, and sum up which need work.

    Here a domain takes at most ten times --timeout, not the whole command. Ctrl-C ends it with
    what is done.

    Example: diagnose fleet customers.txt --output results.jsonl
    """
    import asyncio

    from diagnose.checks.fleet import Fleet
    from diagnose.checks.fleet_domain import examine_domain
    from diagnose.checks.fleet_summary import Circle, summary
    from diagnose.checks.fleet_tally import Tally
    from diagnose.dns_cache import SharedCache

    senders = _senders(via, ip, no_ordernow, run)
    listed = _listed(file, run)
    cache = SharedCache(run.circumstances.resolver(), concurrency, asyncio.get_running_loop().time)
    with _journal(output, senders, run) as journal:
        examined = Fleet(
            lambda domain: examine_domain(domain, senders, cache, run.circumstances),
            run.language,
            Tally(),
            journal,
            _load,
        )
        resumed = _resumed(examined, listed, output, again, run)
        with _progress(len(listed.domains), resumed, run) as examined.tell:
            await examined.run(listed.domains, concurrency)
    return summary(examined, Circle(file, listed, output, resumed), cache.counts, run.language)


def _senders(via: list[str], ip: list[str], no_ordernow: bool, run: Run) -> Senders:
    """What sends for all of them; exit 2 where that names nothing that is known."""
    from diagnose.domain import BadName, checked_ip
    from diagnose.spf.coverage import Senders, sources_of
    from presets.names import UnknownPreset

    try:
        ips = tuple(checked_ip(each, run.language) for each in ip)
        senders = Senders(tuple(via), ips, ordernow=not no_ordernow)
        sources_of(senders)
    except UnknownPreset as error:
        stop(error.text.get(run.language))
    except BadName as error:
        stop(str(error))
    return senders


def _listed(file: str, run: Run) -> DomainList:
    """The domains of FILE or of stdin; exit 2 where there are none."""
    from diagnose.checks.fleet_list import read_list
    from diagnose.wording import say

    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        stop(say("fleet/unreadable", run.language, file=file, error=error.strerror or error))
    listed = read_list(data, run.language)
    if not listed.domains:
        for bad in listed.bad[:20]:
            print(
                say("fleet/bad-line", run.language, line=bad.line, error=bad.error),
                file=sys.stderr,
            )
        stop(say("fleet/no-domains", run.language, file=file))
    return listed


def _journal(
    output: Path | None, senders: Senders, run: Run
) -> AbstractContextManager[Journal | None]:
    """The file of --output, to be closed; exit 2 where it cannot be written."""
    from diagnose.checks.fleet_journal import Journal
    from diagnose.spf.coverage import sources_of

    if output is None:
        return nullcontext()
    names = [source.name for source in sources_of(senders)]
    try:
        return closing(Journal(output, names))
    except OSError as error:
        stop(_unwritable(output, error, run))


def _unwritable(output: Path | None, error: OSError, run: Run) -> str:
    from diagnose.wording import say

    return say("fleet/unwritable", run.language, file=output, error=error.strerror or error)


def _resumed(
    examined: Fleet, listed: DomainList, output: Path | None, again: bool, run: Run
) -> int:
    """How many domains --output already has; exit 2 where it holds something else."""
    from diagnose.checks.fleet_journal import NotOurs, OtherSenders
    from diagnose.wording import say

    try:
        return examined.resume(listed.domains, again=again)
    except NotOurs as error:
        stop(say("fleet/not-ours", run.language, file=output, line=error.line))
    except OtherSenders:
        stop(say("fleet/other-senders", run.language, file=output))
    except OSError as error:
        stop(_unwritable(output, error, run))


async def _load() -> None:
    """What takes long to load, in a thread, before the time of any domain begins."""
    from diagnose.blocking import in_thread

    def load() -> None:
        import checkdmarc.dmarc  # noqa: F401

        from presets.catalog import catalog

        list(catalog())

    with suppress(TimeoutError):
        await in_thread(load, _LOADING_SECONDS)


@contextmanager
def _progress(total: int, done: int, run: Run) -> Iterator[Callable[[Verdict], None]]:
    """A bar on a terminal's stderr, with what was found so far; nothing elsewhere."""
    if not run.circumstances.may_talk:
        yield lambda _: None
        return
    found = dict.fromkeys(Verdict, 0)
    with typer.progressbar(length=total, file=sys.stderr, show_pos=True) as bar:
        bar.update(done)

        def tell(verdict: Verdict) -> None:
            found[verdict] += 1
            bar.label = " ".join(f"{each.value} {count}" for each, count in found.items() if count)
            bar.update(1)

        yield tell
