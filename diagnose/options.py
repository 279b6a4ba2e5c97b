"""The options that every command has after its name, and what happens around its work.

A command is a function `(run, its own parameters) -> Examination`, or a coroutine of one, under
`@examines`: options are added, the result is shown or written as JSON, and the exit code follows.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, get_type_hints

import typer

if TYPE_CHECKING:
    from diagnose.finding import Examination
    from diagnose.runner import Circumstances

EXIT_USAGE = 2

Language = Literal["nl", "en"]

_SHARED: dict[str, tuple[Any, Any]] = {
    "nameserver": (
        Annotated[
            str | None,
            typer.Option(metavar="IP[:PORT]", help="Ask this name server; else the system's."),
        ],
        None,
    ),
    "timeout": (
        Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for each network step.")],
        10.0,
    ),
    "lang": (
        Annotated[Language | None, typer.Option(help="Language; else the locale's.")],
        None,
    ),
    "as_json": (
        Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")],
        False,
    ),
    "ca_file": (
        Annotated[
            Path | None,
            typer.Option(exists=True, dir_okay=False, help="Trust these authorities instead."),
        ],
        None,
    ),
    "only_4": (Annotated[bool, typer.Option("-4", help="IPv4 only.")], False),
    "only_6": (Annotated[bool, typer.Option("-6", help="IPv6 only.")], False),
    "strict": (Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings too.")], False),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: what the shared options say."""

    circumstances: Circumstances
    as_json: bool
    strict: bool
    started: float

    @property
    def language(self) -> Language:
        """Of all texts."""
        return self.circumstances.language


def examines(command: Callable[..., Any]) -> Callable[..., None]:
    """Turn `(run, ...) -> Examination` into a command with the shared options."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "run"
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _SHARED.items()
    ]

    def run_command(**given: Any) -> None:
        run = _run({name: given.pop(name) for name in _SHARED})
        found = command(run, **given)
        if inspect.iscoroutine(found):
            import asyncio

            found = asyncio.run(found)
        conclude(run, found)

    kept = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    run_command.__signature__ = inspect.Signature([*kept, *shared])  # type: ignore[attr-defined]
    run_command.__name__ = command.__name__
    run_command.__doc__ = command.__doc__
    return run_command


def conclude(run: Run, found: Examination) -> NoReturn:
    """Show what was found and exit: 0 good, 1 problems, 3 could not check."""
    if run.as_json:
        print(json.dumps(found.document(time.perf_counter() - run.started), indent=2))
    else:
        from diagnose.render import examination_lines

        for line in examination_lines(found, run.language):
            print(line)
    raise typer.Exit(found.exit_code(strict=run.strict))


def stop(line: str) -> NoReturn:
    """End with exit code 2 and a line on stderr."""
    print(line, file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)


def locale_language() -> Language:
    """The language where `--lang` says nothing."""
    from relay.config.defaults import locale_language as language

    return language(os.environ)


def _run(given: dict[str, Any]) -> Run:
    from diagnose.runner import Circumstances

    language: Language = given["lang"] or locale_language()
    if given["only_4"] and given["only_6"]:
        stop({"nl": "kies -4 of -6, niet beide", "en": "choose -4 or -6, not both"}[language])
    return Run(
        circumstances=Circumstances(
            language=language,
            timeout_seconds=given["timeout"],
            nameserver=_nameserver(given["nameserver"], language),
            ca_file=given["ca_file"],
            family=4 if given["only_4"] else 6 if given["only_6"] else None,
            may_talk=sys.stderr.isatty() and not given["as_json"],
        ),
        as_json=given["as_json"],
        strict=given["strict"],
        started=time.perf_counter(),
    )


def _nameserver(text: str | None, language: Language) -> tuple[str, int] | None:
    """An address with a port, 53 without; exit 2 for anything else."""
    if text is None:
        return None
    from ipaddress import ip_address

    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address, number = str(ip_address(host)), int(port)
        if not 1 <= number <= 65535:
            raise ValueError(port)
    except ValueError:
        stop(
            {
                "nl": f"--nameserver {text!r}: geef een IP-adres, eventueel met :poort",
                "en": f"--nameserver {text!r}: give an IP address, if need be with :port",
            }[language]
        )
    return address, number
