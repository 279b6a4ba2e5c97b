"""`relay web`: the password of the page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import locale_language, stop, talk
from relay.cli.texts import text

app = typer.Typer(
    name="web",
    help="The page in the browser.\n\nExample: relay web password > /etc/relay/page.hash",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    pass


@app.command()
def password(
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the password from stdin, its first line.")
    ] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a password and print its hash, for the file that [web] password_hash names.

    Example: relay web password > /etc/relay/page.hash
    """
    from relay.control.documents import document
    from relay.web.password import LEAST_CHARACTERS, MOST_CHARACTERS, hash_password

    language = lang or locale_language()
    chosen = _read_line(language) if stdin else _ask(language)
    if not LEAST_CHARACTERS <= len(chosen) <= MOST_CHARACTERS:
        stop(text("web.length", language, least=LEAST_CHARACTERS, most=MOST_CHARACTERS))
    hashed = hash_password(chosen)
    if as_json:
        print_json(document("web password", password_hash=hashed))
        return
    print(hashed)
    talk(text("web.then", language))


def _read_line(language: str) -> str:
    """The first line of stdin; exit 2 if it is no text."""
    try:
        line = sys.stdin.buffer.readline(65_536).decode()
    except UnicodeDecodeError:
        stop(text("web.no-text", language))
    return line.rstrip("\r\n")


def _ask(language: str) -> str:
    """The password from the terminal, typed twice; exit 2 without one, or with two."""
    from getpass import getpass

    if not sys.stdin.isatty():
        stop(text("web.no-terminal", language))
    try:
        first = getpass(text("web.ask", language), sys.stderr)
        second = getpass(text("web.again", language), sys.stderr)
    except (EOFError, KeyboardInterrupt):
        stop(text("web.no-terminal", language))
    if first != second:
        stop(text("web.differ", language))
    return first
