"""`relay listener`: the certificate that programs of the office see."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import locale_language, stop, talk
from relay.cli.texts import parts, text

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from relay.authority import Authority, Names
    from relay.config.model import Config, Language

app = typer.Typer(
    name="listener",
    help="What programs of the office connect to.\n\n"
    "Example: relay listener certificate --ip 192.168.1.10 --out /etc/relay/tls",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_SUBMISSION_PORT = 587


@app.callback()
def _group() -> None:
    pass


@app.command()
def certificate(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the authority and certificate go.")
    ],
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="A name of the relay; else its hostname."),
    ] = None,
    ip: Annotated[
        list[str] | None,
        typer.Option("--ip", metavar="IP", help="Its address; else those of the listeners."),
    ] = None,
    new_authority: Annotated[
        bool,
        typer.Option(
            "--new-authority", help="Begin anew: each workstation has to trust it once more."
        ),
    ] = False,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a certificate for programs that insist on TLS, signed by an authority of your own.

    Once more in the same directory: a new certificate by the same authority, for two years, and
    nothing to do at the workstations.

    Example: relay listener certificate --ip 192.168.1.10 --out /etc/relay/tls
    """
    from relay.authority import CERTIFICATE_FILE, NotCovered, issue, keep_authority, write
    from relay.clock import utc_now

    found = _configuration(config, lang)
    language = lang or (locale_language() if found is None else found.language)
    names = _names(name, ip, found, language)
    out = out.absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
        kept = None if new_authority else _kept(out, language)
        authority = kept or _made_anew(names)
        signed, pem = issue(authority, names, utc_now())
        if kept is None:
            keep_authority(out, authority)
        write(out / CERTIFICATE_FILE, pem, 0o600)
    except NotCovered as error:
        stop(text("listener.not-covered", language, name=error.name, path=out))
    except OSError as error:
        stop(text("listener.unwritable", language, path=out, reason=error.strerror or error))
    made = _Made(out, names, authority, signed, is_new=kept is None)
    if as_json:
        print_json(_document(made, found))
    else:
        _tell(made, found, language)


@dataclass(frozen=True, slots=True)
class _Made:
    """What there is now in `directory`."""

    directory: Path
    names: Names
    authority: Authority
    certificate: Certificate
    is_new: bool

    @property
    def authority_file(self) -> Path:
        from relay.authority import AUTHORITY_FILE

        return self.directory / AUTHORITY_FILE

    @property
    def file(self) -> Path:
        from relay.authority import CERTIFICATE_FILE

        return self.directory / CERTIFICATE_FILE

    def is_used(self, config: Config | None) -> bool:
        """A listener has this certificate already."""
        return config is not None and self.file in {each.certificate for each in config.listeners}


def _configuration(path: Path | None, lang: Language | None) -> Config | None:
    """What is configured, as far as it is good: it may wait for the very certificate; exit 2
    where it cannot be read. None where there is none."""
    from relay.config.fault import ConfigError
    from relay.config.load import as_far_as_good
    from relay.config.places import find

    found = find(path, os.environ)
    try:
        return None if found is None else as_far_as_good(found, os.environ)
    except ConfigError as error:
        stop(*(fault.text(lang or locale_language()) for fault in error.faults))


def _names(
    hosts: list[str] | None, ips: list[str] | None, config: Config | None, language: str
) -> Names:
    """As asked for, else by the configuration; exit 2 for what is no name or address."""
    from relay.authority import Names
    from relay.config.defaults import own_hostname
    from relay.config.fault import BadValueError
    from relay.config.syntax import domain

    hostname = own_hostname() if config is None else config.hostname
    try:
        named = tuple(dict.fromkeys(domain(each).lower() for each in hosts or [hostname]))
    except BadValueError as error:
        stop(error.nl if language == "nl" else error.en)
    try:
        given = tuple(dict.fromkeys(map(ip_address, ips or ())))
    except ValueError as error:
        stop(text("listener.no-address", language, reason=error))
    return Names(named, given if ips else _own_addresses(config))


def _own_addresses(config: Config | None) -> tuple[IPv4Address | IPv6Address, ...]:
    """Where the listeners can be reached; for one on every address, this machine's main one."""
    from relay.config.server import neighbourhood

    hosts = [] if config is None else [each.host for each in config.listeners]
    found = []
    for host in hosts:
        try:
            found.append(ip_address(host))
        except ValueError:
            continue
    elsewhere = [each for each in found if not each.is_unspecified]
    if all(neighbourhood(str(each)) == "loopback" for each in elsewhere):
        elsewhere += _main_address()
    return tuple(dict.fromkeys(elsewhere))


def _main_address() -> list[IPv4Address | IPv6Address]:
    """The address by which this machine reaches others; nothing is sent to find it out."""
    import socket

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that is nobody's
            return [ip_address(probe.getsockname()[0])]
    except OSError:
        return []


def _kept(directory: Path, language: str) -> Authority | None:
    """The authority of `directory`; exit 2 where its key is gone. Raises OSError."""
    from relay.authority import AuthorityUnusable, read_authority

    try:
        return read_authority(directory)
    except AuthorityUnusable as error:
        stop(text("listener.no-key", language, path=directory, reason=error))


def _made_anew(names: Names) -> Authority:
    from relay.authority import new_authority
    from relay.clock import utc_now

    return new_authority(names, utc_now())


def _document(made: _Made, config: Config | None) -> dict[str, Any]:
    from relay.control.documents import document, time_text

    return document(
        "listener certificate",
        certificate=str(made.file),
        not_after=time_text(made.certificate.not_valid_after_utc),
        names=list(made.names.hosts),
        addresses=[str(each) for each in made.names.addresses],
        authority=str(made.authority_file),
        authority_is_new=made.is_new,
        authority_not_after=time_text(made.authority.certificate.not_valid_after_utc),
        fingerprint=made.authority.fingerprint,
        thumbprint=made.authority.thumbprint,
        table=None if made.is_used(config) else _table(made, config),
    )


def _tell(made: _Made, config: Config | None, language: str) -> None:
    day = made.certificate.not_valid_after_utc.astimezone().date()
    print(text("listener.made", language, path=made.file, names=made.names, day=day))
    if made.is_used(config):
        print(text("listener.reload", language))
    else:
        print(text("listener.table", language))
        print(f"\n{_table(made, config)}\n")
    if made.is_new:
        values = {"path": made.authority_file, "thumbprint": made.authority.thumbprint}
        for line in parts("listener.trust", language, **values):
            print(line)
    else:
        print(text("listener.same", language))
    talk(text("listener.keep", language, path=made.directory))


def _table(made: _Made, config: Config | None) -> str:
    """The listener for relay.toml: the first without a certificate, or one that is not there yet.

    With `starttls` TLS is offered: programs that do not want it send as before.
    """
    plain = [] if config is None else [each for each in config.listeners if not each.certificate]
    if plain:
        host, port = plain[0].host, plain[0].port
    else:
        host = str(made.names.addresses[0]) if made.names.addresses else "0.0.0.0"
        port = _SUBMISSION_PORT
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # A JSON string of ASCII is a TOML basic string too, backslashes of Windows included.
    return (
        f'[[listener]]\naddress = "{address}"\ntls = "starttls"\n'
        f"certificate = {json.dumps(str(made.file))}   # the key stands in it too"
    )
