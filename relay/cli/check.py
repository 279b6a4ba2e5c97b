"""`relay check`: everything that can be tested before mail is."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import cell, print_json
from relay.cli.session import EXIT_PROBLEMS, EXIT_UNCHECKED, open_session

MARKS = {"ok": "ok", "info": "ok", "warning": "!", "error": "X", "unknown": "?"}


def check(
    online: Annotated[
        bool, typer.Option("--online", help="Also log in at each smarthost; nothing is sent.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="With --online: log in as accounts that are paused, too."),
    ] = False,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="Who the service runs as; for root only."),
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration, its secrets, the ports and the spool.

    Example: relay check --online
    """
    from relay.cli.finding import verdict
    from relay.cli.findings import local_findings
    from relay.control.documents import document

    session = open_session(config, lang, as_json, secrets=True)
    findings = local_findings(session, user)
    if online:
        import asyncio

        from relay.cli.online import online_findings

        findings += asyncio.run(online_findings(session, force))
    result = verdict(findings)
    if as_json:
        shown = [finding.document() for finding in findings]
        print_json(document("check", verdict=result, findings=shown))
    else:
        for finding in findings:
            print(cell(f"{MARKS[finding.severity]:<2} {finding.title}: {finding.detail}"))
            for step in finding.remedy:
                print(f"   -> {cell(step)}")
        print(session.text(f"check.{result}"))
    if result == "fail":
        raise typer.Exit(EXIT_PROBLEMS)
    if result == "unknown":
        raise typer.Exit(EXIT_UNCHECKED)
