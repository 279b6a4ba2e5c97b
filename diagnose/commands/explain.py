"""`diagnose explain`: what a reply means."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from diagnose.finding import Examination
from diagnose.options import Run, examines, stop

Phase = Literal["connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"]

_MOST_INPUT_BYTES = 1_000_000


@examines
def explain(
    run: Run,
    words: Annotated[
        list[str], typer.Argument(metavar="TEXT|-", help="The server's reply; - reads stdin.")
    ],
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="P", help="Whose reply: a preset's id.")
    ] = None,
    phase: Annotated[Phase | None, typer.Option("--phase", help="What the reply answered.")] = None,
) -> Examination:
    """Tell what a reply means, who must act, and the steps. Exit 3: only the code is known.

    Example: diagnose explain "535 5.7.8 Authentication failed" --provider ziggo --phase auth
    """
    from diagnose.explanation import examine
    from diagnose.render import text

    reply = _stdin() if words == ["-"] else " ".join(words)
    if not reply.strip():
        stop(text("explain.empty", run.language))
    known = None if provider is None else _provider(provider, run)
    return examine(reply, known, phase, run.language)


def _provider(name: str, run: Run) -> str:
    """A preset's id or a family of servers, by any of the names it has."""
    from presets.catalog import catalog
    from presets.knowledge import knowledge
    from presets.names import UnknownPreset

    if name in knowledge().family_of:
        return name
    try:
        return catalog().resolve(name).requested.id
    except UnknownPreset as error:
        stop(error.text.get(run.language))


def _stdin() -> str:
    """What is piped in, of whatever encoding, up to a megabyte."""
    return sys.stdin.buffer.read(_MOST_INPUT_BYTES).decode("utf-8", "surrogateescape")
