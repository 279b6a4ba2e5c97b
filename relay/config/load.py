"""Reading `relay.toml`: the whole of it checked, every fault reported at once.

`load` keeps nothing and changes nothing, so a reload is another `load`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from relay.config.builder import Builder
from relay.config.defaults import default_spool_url, locale_language, own_hostname
from relay.config.digest import digest
from relay.config.fault import ConfigError, Fault, why_unreadable
from relay.config.locate import locate
from relay.config.messages import syntax_fault
from relay.config.model import Config, Listener, Spool
from relay.config.places import (
    FILE_NAME,
    SYSTEM_CONFIG,
    find,
    is_there,
    user_state_directory,
)
from relay.config.problems import Problems, faults
from relay.config.resolve import resolve
from relay.config.syntax import sqlite_path
from relay.config.tables import read_tables


def resolve_config(
    explicit: Path | None,
    environ: Mapping[str, str],
    etc: Path = SYSTEM_CONFIG,
    *,
    secrets: bool = True,
) -> Config:
    """The configuration to run with: what is named or found, or the sandbox.

    The sandbox only where nothing was named or found, this is no service of systemd, and there
    is no `/etc/relay`: a relay that lost its configuration must not quietly keep all mail.
    Raises ConfigError: the configuration is missing or cannot be used.
    """
    path = find(explicit, environ, etc)
    if path is not None:
        return load(path, environ, secrets=secrets)
    # systemd gives the directory of a configuration that it expects to be there.
    service = ("NOTIFY_SOCKET", "INVOCATION_ID", "CONFIGURATION_DIRECTORY")
    if not any(map(environ.get, service)) and not is_there(etc):
        return sandbox(environ)
    directory = Path(environ.get("CONFIGURATION_DIRECTORY", "").split(":")[0] or etc)
    fault = Fault(
        file=str(directory / FILE_NAME),
        line=None,
        key="",
        nl="er is geen configuratie; maak dit bestand, of noem een ander met --config",
        en="there is no configuration; create this file, or name another with --config",
    )
    raise ConfigError((fault,))


def sandbox(environ: Mapping[str, str]) -> Config:
    """What runs without a configuration: this machine only, everything held, nothing sent."""
    url = default_spool_url(user_state_directory(environ))
    return Config(
        language=locale_language(environ),
        hostname=own_hostname(),
        spool=Spool(url=url, path=sqlite_path(url)),
        listeners=(Listener("127.0.0.1", 2525), Listener("::1", 2525)),
        sandbox=True,
    )


def load(path: Path, environ: Mapping[str, str] | None = None, *, secrets: bool = True) -> Config:
    """The configuration in `path`, with `warnings`. Reads files, and touches nothing else.

    Relative paths in it start at its own directory. Without `secrets` one that cannot be used is
    no fault, but a warning. Raises ConfigError with every fault.
    """
    environment = os.environ if environ is None else environ
    build = Builder(path.absolute().parent, environment, Problems(secrets))
    return read_config(file_text(path), path, build)


def read_config(text: str, path: Path, build: Builder) -> Config:
    """The configuration in `text`, as if it stood in `path`. Raises ConfigError, as `load` does."""
    document = _parsed(text, path)
    problems = build.problems
    tables = read_tables(_without_bare(document), problems)
    config = resolve(tables, build)
    if not document.get("smarthost"):
        problems.error(
            ("smarthost",),
            "ontbreekt: zonder [[smarthost]] kan er geen mail weg; noem minstens name en preset",
            "is missing: without a [[smarthost]] no mail can leave; give at least name and preset",
        )
    for heading in _bare(document, "dkim"):
        problems.warning(
            heading,
            "is leeg en doet dus niets; maak een sleutel: relay dkim keygen DOMEIN",
            "is empty and so does nothing; make a key: relay dkim keygen DOMAIN",
        )
    for heading in _bare(document, "alarm"):
        problems.warning(
            heading,
            "is leeg en doet dus niets; noem webhook, mail_to, command of syslog = true",
            "is empty and so does nothing; name webhook, mail_to, command or syslog = true",
        )
    if problems.errors:
        found = faults(problems.errors, path.name, locate(text))
        raise ConfigError(found, tables.top.language)
    config = replace(config, path=path, digest=digest(document))
    if not problems.warnings:
        return config
    return replace(config, warnings=faults(problems.warnings, path.name, locate(text)))


def as_far_as_good(path: Path, environ: Mapping[str, str]) -> Config:
    """What the file says, its faults left out: for making what one of them says is missing.

    Raises ConfigError: it is no TOML, or cannot be read.
    """
    build = Builder(path.absolute().parent, environ, Problems(secrets=False))
    document = _parsed(file_text(path), path)
    tables = read_tables(_without_bare(document), build.problems)
    return replace(resolve(tables, build), path=path)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    """The document. Raises ConfigError: it is no TOML."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line, nl, en = syntax_fault(error, text)
        raise ConfigError((Fault(path.name, line, "", nl, en),)) from error


def _without_bare(document: dict[str, Any]) -> dict[str, Any]:
    """The document less `[[dkim]]` and `[[alarm]]` headings with nothing below them.

    They stand so in a sample file; they say nothing, so a warning is enough.
    """
    return {
        name: value
        for name, value in document.items()
        if name not in ("alarm", "dkim") or not isinstance(value, list) or any(value)
    }


def _bare(document: dict[str, Any], name: str) -> Iterator[tuple[str, int]]:
    """The headings that `_without_bare` leaves out."""
    tables = document.get(name)
    if isinstance(tables, list) and not any(tables):
        yield from ((name, index) for index in range(len(tables)))


def file_text(path: Path) -> str:
    """The text of a configuration file, its lines ended by LF. Raises ConfigError."""
    try:
        # Notepad begins a file with a byte order mark; TOML does not know it.
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        nl, en = why_unreadable(error)
        nl = f"is niet te lezen ({nl}); controleer de naam en de rechten"
        en = f"cannot be read ({en}); check its name and permissions"
        raise ConfigError((Fault(str(path), None, "", nl, en),)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        nl = "is geen UTF-8; sla het bestand op als UTF-8"
        raise ConfigError(
            (Fault(path.name, line, "", nl, "is not UTF-8; save the file as UTF-8"),)
        ) from error


def differences(old: Config, new: Config) -> tuple[str, ...]:
    """The keys that differ and take effect at a restart only, in the order of the file."""
    compared = {
        "spool.url": (old.spool.url, new.spool.url),
        "spool.secret_key": (old.spool.secret_key, new.spool.secret_key),
        "listener.address": (_sockets(old), _sockets(new)),
        "web.enabled": (old.web.enabled, new.web.enabled),
        "web.address": ((old.web.host, old.web.port), (new.web.host, new.web.port)),
    }
    return tuple(key for key, (before, after) in compared.items() if before != after)


def _sockets(config: Config) -> frozenset[tuple[str, int]]:
    return frozenset((listener.host, listener.port) for listener in config.listeners)
