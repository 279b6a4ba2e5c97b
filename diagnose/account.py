"""Which server, and which login at it: from a TARGET and options, or from the relay's configuration.

What cannot be used ends the command with exit code 2.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diagnose.finding import Finding, Severity
from diagnose.options import Run, stop
from diagnose.target import BadTarget, Target, read_target
from diagnose.wording import Language, finding, say
from relay.config.defaults import own_hostname
from relay.config.fault import ConfigError
from relay.config.load import resolve_config
from relay.config.model import AuthMethod, Config, Smarthost, TlsMode
from relay.config.secret import SecretError, SecretRef

_SUBMISSION_PORT = 587
_IMPLICIT_PORT = 465


@dataclass(frozen=True, slots=True)
class HeldSecret(SecretRef):
    """A password that was read or typed already: nobody is asked for it twice."""

    value: str = field(default="", repr=False)

    def read(self, environ: Mapping[str, str] | None = None) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Login:
    """What the options say of the login."""

    username: str | None = None
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A server as the relay would use it. `config` is set where the relay's own joined."""

    target: str
    smarthost: Smarthost
    hostname: str
    config: Config | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def server(self) -> str:
        """What the next command is to be given as its TARGET."""
        host = self.smarthost.host
        host = f"[{host}]" if ":" in host else host
        of_preset = self.config is None and self.smarthost.preset is not None
        return self.target if of_preset else f"{host}:{self.smarthost.port}"


def from_server(
    text: str, login: Login, tls: str | None, run: Run, default_port: int = _SUBMISSION_PORT
) -> Chosen:
    """The server that a TARGET means; with a username its password is read or asked for."""
    try:
        target = read_target(text, run.language)
    except BadTarget as error:
        stop(str(error))
    port = target.port or (target.endpoints[0].port if target.endpoints else default_port)
    known = target.tls(target.host, port)
    by_port = TlsMode.IMPLICIT if port == _IMPLICIT_PORT else TlsMode.STARTTLS
    smarthost = Smarthost(
        name=target.text,
        host=target.host,
        port=port,
        tls=TlsMode(tls or known or by_port),
        preset=target.preset.id if target.preset else None,
        ca_file=run.circumstances.ca_file,
        mechanisms=_mechanisms(target, port),
    )
    chosen = Chosen(target.text, smarthost, own_hostname(), findings=target.warnings)
    return chosen if login.username is None else _with_login(chosen, login, run.language)


def from_config(path: Path | None, name: str | None, run: Run) -> Chosen:
    """A smarthost of the relay's configuration: the one of that name, or its only one."""
    language = run.language
    try:
        config = resolve_config(path, os.environ)
    except ConfigError as error:
        stop("\n".join(fault.text(language) for fault in error.faults))
    if config.path is None:
        stop(say("auth/no-configuration", language))
    names = ", ".join(each.name for each in config.smarthosts)
    wanted = [each for each in config.smarthosts if name in (None, each.name)]
    if len(wanted) != 1:
        stop(say("auth/which-smarthost", language, path=config.path, names=names or "-"))
    smarthost = wanted[0]
    if run.circumstances.ca_file is not None:
        smarthost = replace(smarthost, ca_file=run.circumstances.ca_file)
    joined = finding(
        "auth/config-joined", Severity.INFO, language, path=str(config.path), name=smarthost.name
    )
    if smarthost.auth is AuthMethod.PASSWORD and smarthost.password is not None:
        smarthost = replace(smarthost, password=_held(smarthost.password, language))
    return Chosen(smarthost.name, smarthost, config.hostname, config, (joined,))


def as_the_relay(chosen: Chosen, config: Config) -> Chosen:
    """`chosen` under what the relay knows of its account: paused, or for tokens only.

    Unchanged where it is none of the relay's.
    """
    account = chosen.smarthost.account
    own = next((each for each in config.smarthosts if account and each.account == account), None)
    if own is None:
        return chosen
    smarthost = replace(chosen.smarthost, name=own.name)
    if own.oauth2 is not None:
        smarthost = replace(smarthost, auth=own.auth, oauth2=own.oauth2, password=None)
    return replace(chosen, smarthost=smarthost, config=config)


def login_is_oauth2(smarthost: Smarthost) -> bool:
    """A password is of no use there: only tokens are taken."""
    offered = set(smarthost.mechanisms) - {"none"}
    only = bool(offered) and offered <= {"XOAUTH2", "OAUTHBEARER"}
    return smarthost.auth is AuthMethod.OAUTH2 or only


def _mechanisms(target: Target, port: int) -> tuple[str, ...]:
    for end in target.endpoints:
        if (end.host, end.port) == (target.host, port):
            return end.auth
    return ()


def _with_login(chosen: Chosen, login: Login, language: Language) -> Chosen:
    values: dict[str, Any] = {"username": login.username, "auth": AuthMethod.PASSWORD}
    if not login_is_oauth2(chosen.smarthost):
        values["password"] = _password(login, language)
    return replace(chosen, smarthost=replace(chosen.smarthost, **values))


def _password(login: Login, language: Language) -> HeldSecret:
    if login.password_file is not None:
        return _held(SecretRef("file", str(login.password_file.absolute())), language)
    if not sys.stdin.isatty():
        stop(say("auth/no-password", language))
    typed = getpass.getpass(say("auth/prompt", language, username=login.username), sys.stderr)
    if not typed:
        stop(say("auth/no-password", language))
    return HeldSecret("file", "-", typed)


def _held(secret: SecretRef, language: Language) -> HeldSecret:
    try:
        return HeldSecret(secret.kind, secret.name, secret.read())
    except SecretError as error:
        stop(error.text(language))
