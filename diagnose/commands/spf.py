"""`diagnose spf`: is every machine that sends for a domain covered?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diagnose.finding import Examination, Table
from diagnose.options import Run, examines, stop

if TYPE_CHECKING:
    from diagnose.resolver import Resolver


@examines
async def spf(
    run: Run,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain behind the @.")],
    via: Annotated[
        list[str], typer.Option("--via", metavar="PRESET", help="A provider that sends for it.")
    ] = [],  # noqa: B006 - Typer's form of a list without a default
    ip: Annotated[
        list[str], typer.Option("--ip", metavar="IP", help="An address that sends for it.")
    ] = [],  # noqa: B006
    record: Annotated[
        str | None, typer.Option(metavar="TXT", help="Try this record, not the published one.")
    ] = None,
    no_ordernow: Annotated[
        bool, typer.Option("--no-ordernow", help="OrderNow does not send for this domain.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="Also the smarthosts of this relay.toml.")
    ] = None,
) -> Examination:
    """Tell whether every machine that sends for a domain is covered, and what to publish.

    Example: diagnose spf mijnbakkerij.nl --via microsoft365 --ip 203.0.113.5
    """
    from diagnose.checks.spf_syntax import syntax_advice
    from diagnose.domain import BadName, checked_ip, parse_domain
    from diagnose.relay_config import joined_config, smarthost_presets
    from diagnose.spf.coverage import Senders
    from diagnose.spf.examination import examine_spf
    from presets.names import UnknownPreset

    joined, notes = joined_config(config, run)
    smarthosts = smarthost_presets(joined) if joined is not None else {}
    try:
        parsed = parse_domain(domain, run.language)
        ips = tuple(checked_ip(each, run.language) for each in ip)
        senders = Senders(tuple(via), ips, smarthosts, not no_ordernow)
        found = await examine_spf(
            parsed.name,
            senders=senders,
            record=record,
            resolver=_resolver(run),
            language=run.language,
        )
    except UnknownPreset as error:
        stop(error.text.get(run.language))
    except BadName as error:
        stop(str(error))
    keys = found.document_keys
    advice = await syntax_advice(parsed.name, found.findings, keys, run.circumstances)
    return Examination(
        "spf",
        parsed.name,
        (*notes, *parsed.notes, *found.findings, *advice),
        keys,
        tables=(_coverage(keys, run),),
        lines=tuple(_lines(keys, run)),
    )


def _resolver(run: Run) -> Resolver:
    """One that leaves a step's time of the whole command's for the advice on the syntax."""
    import asyncio

    from diagnose.resolver import Until
    from diagnose.runner import STEPS_IN_ALL

    seconds = run.circumstances.timeout_seconds * (STEPS_IN_ALL - 1)
    return Until(run.circumstances.resolver(), asyncio.get_running_loop().time() + seconds)


def _coverage(keys: dict[str, Any], run: Run) -> Table:
    from diagnose.wording import say

    rows = [
        (
            row["source"],
            row["address"],
            row["result"],
            row["term"],
            f"{row['networks']['covered']}/{row['networks']['total']}",
        )
        for row in keys["coverage"]
    ]
    return Table(tuple(say("spf-table/headings", run.language).split("|")), rows)


def _lines(keys: dict[str, Any], run: Run) -> Iterator[str]:
    """The record as it is, and the record to publish, whole, for copying."""
    from diagnose.wording import say
    from presets.reply import sanitise

    used = keys["lookups"]
    shown = sanitise(keys["record"], 4000) if keys["record"] else "-"
    yield say("spf-table/record-line", run.language) + " " + shown
    yield say("spf-table/lookups-line", run.language, dns=used["dns"], void=used["void"])
    suggestion = keys["suggestion"]
    if suggestion:
        verified = (
            "spf-table/suggestion-verified"
            if suggestion["verified"]
            else "spf-table/suggestion-line"
        )
        yield say(verified, run.language) + " " + sanitise(suggestion["record"], 4000)
    yield ""
