"""`relay setup`: a conversation that ends with a relay.toml that works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.session import locale_language

_EXTRAS = ("hostname", "spool_url", "web", "ca_file", "authority", "issuer_ca_file")
_SECRETS = ("password", "client_secret")


def _option(name: str, help_: str, metavar: str = "TEXT") -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(name, metavar=metavar, help=help_)
    return found


def setup(
    address: Annotated[str | None, _option("--address", "What invoices are sent as.")] = None,
    provider: Annotated[
        str | None, _option("--provider", "A preset, a mail server, or other.", "NAME")
    ] = None,
    host: Annotated[str | None, _option("--host", "The provider's server.", "NAME")] = None,
    port: Annotated[str | None, _option("--port", "Its port.", "NUMBER")] = None,
    tls: Annotated[str | None, _option("--tls", "starttls, implicit or none.")] = None,
    auth: Annotated[str | None, _option("--auth", "password, oauth2 or none.")] = None,
    username: Annotated[str | None, _option("--username", "The login's name.")] = None,
    password_file: Annotated[
        Path | None,
        _option("--password-file", "A file with the password; - reads a line of stdin.", "FILE"),
    ] = None,
    flow: Annotated[
        str | None,
        _option("--flow", "OAuth2: code, device, client-credentials, service-account."),
    ] = None,
    client_id: Annotated[str | None, _option("--client-id", "OAuth2: of your app.")] = None,
    tenant: Annotated[str | None, _option("--tenant", "OAuth2 at Microsoft.")] = None,
    client_secret_file: Annotated[
        Path | None,
        _option("--client-secret-file", "OAuth2: the app's secret, or its key file.", "FILE"),
    ] = None,
    sender: Annotated[
        str | None, _option("--sender", "Of other senders: keep, rewrite or force.")
    ] = None,
    machines: Annotated[
        str | None,
        _option("--machines", "here, learn, or addresses: 192.168.1.20,name=192.168.1.64/26."),
    ] = None,
    any_login: Annotated[
        str | None, _option("--any-login", "yes: programs may log in with anything.")
    ] = None,
    listen: Annotated[
        str | None, _option("--listen", "Where the relay takes mail.", "HOST:PORT")
    ] = None,
    postmaster: Annotated[
        str | None, _option("--postmaster", "Gets what nobody else can be told.", "ADDRESS")
    ] = None,
    ordernow: Annotated[
        str | None, _option("--ordernow", "yes: OrderNow sends for the domain, too.")
    ] = None,
    test_to: Annotated[
        str | None, _option("--test-to", "Where a test message goes; none.", "ADDRESS")
    ] = None,
    unattended: Annotated[
        bool,
        typer.Option("--unattended", "--yes", help="Ask nothing: options, and what is proposed."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make a new relay.toml, and keep the old one dated.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget the answers of a setup that was stopped.")
    ] = False,
    untested: Annotated[
        bool, typer.Option("--untested", help="Neither log in nor send before it is written.")
    ] = False,
    learn_minutes: Annotated[
        int, typer.Option("--learn-minutes", min=1, max=120, help="With --machines learn.")
    ] = 30,
    expect: Annotated[
        int | None,
        typer.Option("--expect", min=1, help="Unattended: so many machines, then go on."),
    ] = None,
    allow_found: Annotated[
        bool, typer.Option("--allow-found", help="Unattended: let in the machines that sent.")
    ] = False,
    nameserver: Annotated[
        str | None, _option("--nameserver", "Ask this name server; else the system's.", "IP[:PORT]")
    ] = None,
    hostname: Annotated[str | None, _option("--hostname", "Our name for EHLO.", "NAME")] = None,
    spool_url: Annotated[
        str | None, _option("--spool", "Where mail waits: sqlite:///path.", "URL")
    ] = None,
    web: Annotated[
        str | None, _option("--web", "Where the page is; off for none.", "HOST:PORT")
    ] = None,
    ca_file: Annotated[
        str | None, _option("--ca-file", "A private CA of the provider's server.", "FILE")
    ] = None,
    authority: Annotated[
        str | None, _option("--authority", "OAuth2 in a sovereign cloud.", "URL")
    ] = None,
    issuer_ca_file: Annotated[
        str | None, _option("--issuer-ca-file", "A private CA of the issuer.", "FILE")
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a relay.toml by answering questions; it is tried before it is written.

    Stopped with Ctrl-C it goes on where it was when started again. Exit 0 written; 1 something was
    refused, 3 could not check: then nothing is written, unless somebody said so.

    Example: relay setup

    Example: relay setup --unattended --address bakker@ziggo.nl --password-file ziggo.txt
    """
    options = dict(locals())
    # Loaded here: other commands need nothing of it.
    from relay.cli.setup_run import run
    from relay.cli.setup_wishes import Wishes
    from relay.config.places import find, place_for_new
    from relay.setup.questions import QUESTIONS

    answers = {name: options.get(name) for name in QUESTIONS}
    secrets = {name: options[f"{name}_file"] for name in _SECRETS}
    wishes = Wishes(
        given={name: given for name, given in answers.items() if given is not None}
        | ({"language": lang} if lang else {}),
        secrets={name: file for name, file in secrets.items() if file is not None},
        unattended=unattended,
        restart=restart,
        replace=replace,
        untested=untested,
        nameserver=nameserver,
        learn_minutes=learn_minutes,
        expect=expect,
        allow_found=allow_found,
        as_json=as_json,
        extras={name: options[name] for name in _EXTRAS},
    )
    target = find(config, os.environ) or place_for_new(os.environ)
    language: Literal["nl", "en"] = lang or locale_language()
    raise typer.Exit(run(wishes, target, language))
