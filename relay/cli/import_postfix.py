"""`relay import postfix`: a relay.toml from a Postfix configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.import_consent import WriteOption, consent, note_text
from relay.cli.options import JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import EXIT_PROBLEMS, locale_language, stop, talk
from relay.cli.texts import text

if TYPE_CHECKING:
    from relay.config.model import Language
    from relay.moving_in.fragment import Fragment
    from relay.moving_in.postfix import Office


def postfix(
    directory: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where main.cf and master.cf stand.")
    ] = Path("/etc/postfix"),
    write: WriteOption = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="The relay.toml to make; a new file."),
    ] = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a relay.toml from Postfix's configuration; shows what it understood and what not.

    Read are relayhost, passwords, networks, listeners, and what differs by sender. Passwords go
    into files of their own, mode 0600. Postfix itself stays as it is.

    Example: relay import postfix /etc/postfix --config /etc/relay/relay.toml
    """
    from relay.moving_in.fragment import write_fragment
    from relay.moving_in.postfix import read_postfix

    language = lang or locale_language()
    target = config or _usual_place()
    try:
        office = read_postfix(directory)
    except OSError as error:
        stop(text("import.place", language, path=directory, reason=error.strerror or error))
    fragment = write_fragment(office, language)
    if not as_json:
        _show(office, fragment, language)
    faults = _faults(fragment, target, language)
    if faults and not as_json:
        talk(text("import.not-usable", language), *faults)
    agreed = not faults and consent(language, write=write, as_json=as_json)
    written = _written(fragment, target, language) if agreed else []
    if as_json:
        print_json(_document(office, fragment, language, faults=faults, written=written))
    elif written:
        print(text("import.written", language, files=", ".join(map(str, written)), path=target))
    if faults:
        raise typer.Exit(EXIT_PROBLEMS)


def _usual_place() -> Path:
    from relay.config.places import FILE_NAME, SYSTEM_CONFIG, find

    return find(None, os.environ) or SYSTEM_CONFIG / FILE_NAME


def _faults(fragment: Fragment, target: Path, language: Language) -> list[str]:
    from relay.config.fault import ConfigError
    from relay.moving_in.writing import try_out

    try:
        try_out(fragment, target, os.environ)
    except ConfigError as error:
        return [fault.text(language) for fault in error.faults]
    return []


def _written(fragment: Fragment, target: Path, language: Language) -> list[Path]:
    from relay.moving_in.writing import put_in_place

    try:
        return put_in_place(fragment, target)
    except FileExistsError as error:
        stop(text("import.exists", language, path=error.filename))
    except OSError as error:
        stop(text("import.unwritable", language, path=target, reason=error.strerror or error))


def _show(office: Office, fragment: Fragment, language: Language) -> None:
    print(text("import.understood", language))
    for name, value in office.taken:
        print(f"  {name} = {value}")
    if office.no_meaning:
        print(text("import.no-meaning", language, names=", ".join(office.no_meaning)))
    if office.notes:
        print(text("import.not-understood", language))
        for note in office.notes:
            print(f"  - {note_text(language, note)}")
    print(text("import.becomes", language))
    print(fragment.text)
    for name in fragment.secrets:
        print(text("import.secret", language, file=name))


def _document(
    office: Office,
    fragment: Fragment,
    language: Language,
    *,
    faults: list[str],
    written: list[Path],
) -> dict[str, Any]:
    from relay.control.documents import document

    return document(
        "import postfix",
        written=[str(path) for path in written],
        toml=fragment.text,
        secrets=list(fragment.secrets),
        understood=[{"parameter": name, "value": value} for name, value in office.taken],
        no_meaning=list(office.no_meaning),
        not_understood=[
            {
                "why": note.slug,
                **{key: str(value) for key, value in note.values.items()},
                "text": note_text(language, note),
            }
            for note in office.notes
        ],
        faults=faults,
    )
