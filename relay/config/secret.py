"""Secrets by reference: a file, an environment variable, a systemd credential, a keyring entry."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from relay.config.credentials import readable
from relay.config.fault import why_unreadable
from relay.reason import ReasonedError

SecretKind = Literal["file", "env", "credential", "keyring"]

KEYRING_SERVICE = "relay"
# keyrings.alt keeps passwords readable on disk, and becomes the default by being installed.
PLAIN_KEYRINGS = ("keyrings.alt", "keyring.backends.fail", "keyring.backends.null")
CONTAINER_SECRETS = Path("/run/secrets")
MAX_SECRET_BYTES = 65536


class SecretError(ReasonedError):
    """A secret cannot be used; says in Dutch (`nl`) and English (`en`) why, and what to do."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret stands, never the secret itself: the repr is safe to log."""

    kind: SecretKind
    name: str

    def read(self, environ: Mapping[str, str] | None = None) -> str:
        """The secret, without its one trailing newline. Never kept: each call reads again.

        Raises SecretError: it is missing, empty, not UTF-8, or readable by other users.
        """
        environment = os.environ if environ is None else environ
        match self.kind:
            case "file":
                value = _read_file(readable(Path(self.name), environment), environment)
            case "env":
                value = _read_variable(self.name, environment)
            case "credential":
                value = _read_credential(self.name, environment)
            case "keyring":
                value = _read_keyring(self.name)
        value = _without_newline(value)
        if not value:
            raise SecretError(
                f"het geheim ({self.kind} = {self.name}) is leeg; zet het wachtwoord erin",
                f"the secret ({self.kind} = {self.name}) is empty; put the password in it",
            )
        return value

    def loose_group(self, environ: Mapping[str, str] | None = None) -> bool:
        """True for a file that members of its group can read: allowed, and worth a warning."""
        environment = os.environ if environ is None else environ
        path = Path(self.name)
        if self.kind != "file" or os.name == "nt" or _is_sheltered(path, environment):
            return False
        try:
            return bool(path.stat().st_mode & stat.S_IRGRP)
        except OSError:
            return False


def _without_newline(value: str) -> str:
    if value.endswith("\r\n"):
        return value[:-2]
    return value.removesuffix("\n")


def _is_sheltered(path: Path, environ: Mapping[str, str]) -> bool:
    """True below the directories whose owner (systemd, a container) already shields them."""
    shelters = [CONTAINER_SECRETS]
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        shelters.append(Path(directory))
    real = path.resolve()
    return any(real.is_relative_to(shelter.resolve()) for shelter in shelters)


def _read_file(path: Path, environ: Mapping[str, str]) -> str:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            # Windows guards files by access lists; its mode bits say nothing about others.
            if os.name != "nt" and mode & 0o007 and not _is_sheltered(path, environ):
                raise SecretError(
                    f"{path} is toegankelijk voor andere gebruikers; doe: chmod o-rwx {path}",
                    f"{path} is open to other users; run: chmod o-rwx {path}",
                )
            content = stream.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        nl, en = why_unreadable(error)
        raise SecretError(
            f"{path} is niet te lezen ({nl}); maak het bestand, of geef de dienst leesrecht",
            f"{path} cannot be read ({en}); create it, or let the service read it",
        ) from error
    if len(content) > MAX_SECRET_BYTES:
        raise SecretError(
            f"{path} is groter dan {MAX_SECRET_BYTES} bytes; dat is geen wachtwoord",
            f"{path} is larger than {MAX_SECRET_BYTES} bytes; that is no password",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # Without the cause: a decode error carries the bytes it choked on.
        raise SecretError(
            f"{path} is geen UTF-8-tekst; sla het bestand op als UTF-8",
            f"{path} is not UTF-8 text; save the file as UTF-8",
        ) from None


def _read_variable(name: str, environ: Mapping[str, str]) -> str:
    try:
        value = environ[name]
    except KeyError:
        raise SecretError(
            f"de omgevingsvariabele {name} bestaat niet; geef haar mee aan de dienst",
            f"the environment variable {name} is not set; pass it to the service",
        ) from None
    try:
        value.encode()  # Python stands in lone surrogates for bytes that are not UTF-8
    except UnicodeEncodeError:
        raise SecretError(
            f"de omgevingsvariabele {name} is geen UTF-8-tekst; zet het geheim in een bestand",
            f"the environment variable {name} is not UTF-8 text; put the secret in a file",
        ) from None
    return value


def _read_credential(name: str, environ: Mapping[str, str]) -> str:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise SecretError(
            f"$CREDENTIALS_DIRECTORY ontbreekt; zet LoadCredential={name}:PAD in de systemd-unit",
            f"$CREDENTIALS_DIRECTORY is not set; add LoadCredential={name}:PATH to the systemd unit",
        )
    if Path(name).name != name:
        raise SecretError(
            f"credential = {name!r} is geen naam; noem alleen de naam, zonder map",
            f"credential = {name!r} is no name; give the name alone, without a directory",
        )
    return _read_file(Path(directory) / name, environ)


def _read_keyring(name: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise SecretError(
            "voor keyring = is het pakket keyring nodig; installeer office-mail-relay[keyring]",
            "keyring = needs the package keyring; install office-mail-relay[keyring]",
        ) from None
    try:
        value = _first_password(_safe_backends(keyring.get_keyring()), name)
    except keyring.errors.KeyringError as error:
        reason = type(error).__name__
        raise SecretError(
            f"de sleutelbos geeft {name} niet ({reason}); ontgrendel hem voor deze gebruiker",
            f"the keyring does not give {name} ({reason}); unlock it for this user",
        ) from error
    if value is None:
        raise SecretError(
            f"de sleutelbos kent {name} niet; doe: keyring set {KEYRING_SERVICE} {name}",
            f"the keyring does not know {name}; run: keyring set {KEYRING_SERVICE} {name}",
        )
    return value


def _safe_backends(chosen: Any) -> list[Any]:
    """The back ends to ask: the chosen one, or of a chain of them those that keep things safe.

    The chain takes in whatever is installed, a plain file too, which would answer for a safe one
    that is locked.
    """
    backends = list(getattr(chosen, "backends", ())) or [chosen]
    safe = [each for each in backends if not type(each).__module__.startswith(PLAIN_KEYRINGS)]
    if not safe:
        names = ", ".join(sorted({type(each).__module__ for each in backends}))
        raise SecretError(
            f"de sleutelbos {names} bewaart niets veilig; gebruik file = of credential =",
            f"the keyring {names} keeps nothing safely; use file = or credential =",
        )
    return safe


def _first_password(backends: list[Any], name: str) -> str | None:
    for backend in backends:
        value: str | None = backend.get_password(KEYRING_SERVICE, name)
        if value is not None:
            return value
    return None
