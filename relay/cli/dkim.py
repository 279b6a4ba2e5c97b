"""`relay dkim`: the keys that outgoing mail is signed with, and their DNS records."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import EXIT_PROBLEMS, locale_language, open_session, stop, talk
from relay.cli.texts import text

if TYPE_CHECKING:
    from relay.config.model import Config, Dkim, Language
    from relay.message.dkim_record import Record

app = typer.Typer(
    name="dkim",
    help="Keys to sign outgoing mail with, so that mail of your own domain passes DMARC.\n\n"
    "Example: relay dkim keygen mijnbakkerij.nl",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The part behind the @ in From.")]

_BITS = 2048


@app.command()
def keygen(
    domain: Domain,
    selector: Annotated[
        str, typer.Option("--selector", metavar="S", help="The key's name in DNS.")
    ] = "relay",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the key goes; else beside relay.toml."),
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key; print the table for relay.toml and the DNS record. No file is overwritten.

    Example: relay dkim keygen mijnbakkerij.nl --out /etc/relay/dkim.pem
    """
    from relay.control.documents import document
    from relay.message.dkim_record import new_key, record_of

    language = lang or locale_language()
    domain, selector = _checked(domain, language), _checked(selector, language)
    if "." not in domain:
        stop(text("dkim.no-domain", language, domain=domain))
    folder = _config_folder(config)
    file = (out or (folder or Path()) / f"dkim-{domain}-{selector}.pem").absolute()
    key, pem = new_key()
    _write(file, pem, language)
    table = _table(domain, selector, file.name if file.parent == folder else str(file))
    record = record_of(domain, selector, key)
    if as_json:
        made = {"domain": domain, "selector": selector, "bits": _BITS, "key_file": str(file)}
        print_json(document("dkim keygen", **made, table=table, record=_document(record)))
        return
    print(text("dkim.made", language, file=file))
    print(f"\n{table}\n")
    _print_record(record, domain, language)


@app.command()
def record(
    domain: Domain,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the DNS record that belongs to the key of a domain in relay.toml.

    Example: relay dkim record mijnbakkerij.nl
    """
    from relay.control.documents import document
    from relay.message.dkim_record import record_of

    session = open_session(config, lang, as_json)
    entry = _entry(session.config, _checked(domain, session.language))
    if entry is None:
        names = ", ".join(each.domain for each in session.config.dkim) or "-"
        talk(session.text("dkim.none", domain=domain, names=names))
        raise typer.Exit(EXIT_PROBLEMS)
    key = _key(entry, session.language)
    found = record_of(entry.domain, entry.selector, key)
    if as_json:
        about = {"domain": entry.domain, "selector": entry.selector, "bits": key.key_size}
        print_json(document("dkim record", **about, record=_document(found)))
        return
    _print_record(found, entry.domain, session.language)


def _checked(name: str, language: str) -> str:
    """A domain or selector in lower case; exit 2 if it is none."""
    from relay.config.fault import BadValueError
    from relay.config.syntax import domain

    try:
        return domain(name).lower()
    except BadValueError as error:
        stop(error.nl if language == "nl" else error.en)


def _config_folder(config: Path | None) -> Path | None:
    """The directory of relay.toml; it need not be good, as the key is what it may wait for."""
    from relay.config.places import find

    found = find(config, os.environ)
    return None if found is None else found.absolute().parent


def _write(file: Path, pem: bytes, language: str) -> None:
    """A new file for its owner alone; exit 2 if there is one already, or none can be made."""
    from relay.config.fault import why_unreadable

    try:
        # O_EXCL: a key whose record is published is worth more than a new one.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(pem)
    except FileExistsError:
        stop(text("dkim.exists", language, file=file))
    except OSError as error:
        nl, en = why_unreadable(error)
        stop(text("dkim.unwritable", language, file=file, reason=nl if language == "nl" else en))


def _table(domain: str, selector: str, file: str) -> str:
    # A JSON string of ASCII is a TOML basic string too, backslashes of Windows included.
    return (
        f'[[dkim]]\ndomain = "{domain}"\nselector = "{selector}"\n'
        f"key = {{ file = {json.dumps(file)} }}"
    )


def _entry(config: Config, domain: str) -> Dkim | None:
    return next((each for each in config.dkim if each.domain == domain), None)


def _key(entry: Dkim, language: Language) -> Any:
    """The private key; exit 2 if it went bad since the configuration was read."""
    from relay.config.dkim_key import private_key
    from relay.config.fault import BadValueError
    from relay.config.secret import SecretError

    try:
        return private_key(entry.key.read())
    except (SecretError, BadValueError) as error:
        stop(error.nl if language == "nl" else error.en)


def _document(found: Record) -> dict[str, Any]:
    return {
        "name": found.name,
        "type": "TXT",
        "value": found.value,
        "strings": list(found.strings),
    }


def _print_record(found: Record, domain: str, language: str) -> None:
    short = found.name.removesuffix(f".{domain}")
    print(text("dkim.where", language, domain=domain, name=found.name, short=short))
    print(f"\n{found.name}  TXT\n{found.value}\n")
    print(text("dkim.strings", language))
    print(" ".join(f'"{each}"' for each in found.strings))
    print(text("dkim.then", language, domain=domain))
