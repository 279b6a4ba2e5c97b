"""The command `diagnose`. Options and exit codes here; what is examined in modules of their own."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterable
from io import TextIOWrapper
from typing import Annotated, Literal, NoReturn

import typer

from relay import __version__

EXIT_USAGE = 2
EXIT_BUG = 70
_MOST_INPUT_BYTES = 1_000_000

Language = Literal["nl", "en"]
Phase = Literal["connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"]
LangOption = Annotated[
    Language | None, typer.Option("--lang", help="Language of the texts; else the locale's.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too.")]

app = typer.Typer(
    name="diagnose",
    help="Examines why mail does not leave, and says what to do.\n\n"
    'Example: diagnose explain "535 5.7.8 Authentication failed" --provider ziggo',
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
presets = typer.Typer(
    name="presets",
    help="What is known of each mail provider.\n\nExample: diagnose presets show ziggo",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(presets)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"diagnose {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command()
def explain(
    words: Annotated[
        list[str], typer.Argument(metavar="TEXT|-", help="The server's reply; - reads stdin.")
    ],
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="P", help="Whose reply: a preset's id.")
    ] = None,
    phase: Annotated[Phase | None, typer.Option("--phase", help="What the reply answered.")] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Tell what a reply means, who must act, and the steps. Exit 3: only the code is known.

    Example: diagnose explain "535 5.7.8 Authentication failed" --provider ziggo --phase auth
    """
    started = time.perf_counter()
    from diagnose.explanation import examine
    from diagnose.render import explanation_lines, text

    language = lang or _locale_language()
    reply = _stdin() if words == ["-"] else " ".join(words)
    if not reply.strip():
        _stop(text("explain.empty", language))
    known = None if provider is None else _provider(provider, language)
    found = examine(reply, known, phase, language)
    if as_json:
        print(json.dumps(found.document(time.perf_counter() - started), indent=2))
    else:
        _print(explanation_lines(found.content, language))
        _print(finding.title for finding in found.findings if finding.severity == "unknown")
    raise typer.Exit(found.exit_code(strict=strict))


@presets.command("list")
def list_(
    lang: LangOption = None, as_json: JsonOption = False, strict: StrictOption = False
) -> None:
    """List the providers that are known.

    Example: diagnose presets list
    """
    started = time.perf_counter()
    from diagnose.catalogue import listing
    from diagnose.render import table, text

    language = lang or _locale_language()
    found = listing()
    if as_json:
        print(json.dumps(found.document(time.perf_counter() - started), indent=2))
    else:
        entries = found.content["presets"]
        headers = text("list.headers", language).split("|")
        keys = ("id", "name", "country", "state", "server")
        print(table(headers, ([entry[key] for key in keys] for entry in entries)))
        print(text("list.total", language, count=len(entries)))
    raise typer.Exit(found.exit_code(strict=strict))


@presets.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="An id, a name, or a mail server.")],
    lang: LangOption = None,
    as_json: JsonOption = False,
    strict: StrictOption = False,
) -> None:
    """Show a provider: servers, sender rule, limits, SPF, each with its source.

    Example: diagnose presets show microsoft365
    """
    started = time.perf_counter()
    from diagnose.catalogue import single
    from diagnose.render import preset_lines
    from presets.names import UnknownPreset

    language = lang or _locale_language()
    try:
        preset, found = single(name, language)
    except UnknownPreset as error:
        _stop(error.text.get(language))
    if as_json:
        print(json.dumps(found.document(time.perf_counter() - started), indent=2))
    else:
        _print(preset_lines(preset, language))
        _print(f"! {finding.title}" for finding in found.findings if finding.severity == "warning")
    raise typer.Exit(found.exit_code(strict=strict))


def main() -> None:
    """Run a command and exit: 0 good, 1 problems, 2 usage, 3 could not check, 70 our bug."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # no code page makes a command fail
    try:
        app(prog_name="diagnose")
    except Exception as error:  # noqa: BLE001 - the last net: whatever gets here is a bug
        from diagnose.render import text

        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join("".join(traceback.format_exception_only(error)).split())
        where = f"{what} ({frame.filename}:{frame.lineno})"
        print(text("bug", _locale_language(), error=where), file=sys.stderr)
        sys.exit(EXIT_BUG)


def _provider(name: str, language: str) -> str:
    """A preset's id or a family of servers, by any of the names it has."""
    from presets.catalog import catalog
    from presets.knowledge import knowledge
    from presets.names import UnknownPreset

    if name in knowledge().family_of:
        return name
    try:
        return catalog().resolve(name).requested.id
    except UnknownPreset as error:
        _stop(error.text.get(language))


def _stdin() -> str:
    """What is piped in, of whatever encoding, up to a megabyte."""
    return sys.stdin.buffer.read(_MOST_INPUT_BYTES).decode("utf-8", "surrogateescape")


def _locale_language() -> Language:
    from relay.config.defaults import locale_language

    return locale_language(os.environ)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _stop(line: str) -> NoReturn:
    print(line, file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)
