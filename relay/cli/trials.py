"""Whether this process's user can open what a configuration names: secrets, certificates, spool."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from relay.config.certificates import check_authority, check_pair
from relay.config.fault import BadValueError
from relay.config.model import Config
from relay.config.secret import SecretError, SecretRef

Kind = Literal["secret", "pair", "authority", "file", "directory", "spool"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to open. `key` is the configuration's name for it."""

    key: str
    kind: Kind
    path: Path | None = None
    secret: SecretRef | None = None
    private_key: Path | None = None


def trials(config: Config) -> list[Trial]:
    """Everything that the service opens, in the order of the file."""
    found = [Trial("relay.toml", "file", config.path)] if config.path else []
    return [*found, *_secrets(config), *_certificates(config), *_spool(config)]


def try_all(config: Config) -> list[dict[str, Any]]:
    """What came of each trial, ready for JSON: `case`, `key`, `path`, `directory`, `reason`.

    `case` good, environment (only the service has that), secret, file, certificate, directory
    (`directory` on the way to `path` is shut), spool or spool-file.
    """
    return [_try(trial) for trial in trials(config)]


def _secrets(config: Config) -> Iterator[Trial]:
    named: list[tuple[str, SecretRef | None]] = [
        ("spool.password", config.spool.password),
        ("spool.secret_key", config.spool.secret_key),
        ("web.password_hash", config.web.password_hash),
    ]
    for index, smarthost in enumerate(config.smarthosts):
        named.append((f"smarthost[{index}].password", smarthost.password))
        if smarthost.oauth2 is not None:
            oauth2 = f"smarthost[{index}].oauth2"
            named.append((f"{oauth2}.client_secret", smarthost.oauth2.client_secret))
            named.append((f"{oauth2}.certificate", smarthost.oauth2.certificate))
    named += [(f"dkim[{index}].key", dkim.key) for index, dkim in enumerate(config.dkim)]
    for key, secret in named:
        if secret is not None:
            path = Path(secret.name) if secret.kind == "file" else None
            yield Trial(key, "secret", path, secret)


def _certificates(config: Config) -> Iterator[Trial]:
    pairs = [
        (f"listener[{index}].certificate", listener.certificate, listener.key)
        for index, listener in enumerate(config.listeners)
    ]
    pairs.append(("web.certificate", config.web.certificate, config.web.key))
    authorities: list[tuple[str, Path | None]] = []
    for index, smarthost in enumerate(config.smarthosts):
        where = f"smarthost[{index}]"
        pairs.append(
            (f"{where}.client_certificate", smarthost.client_certificate, smarthost.client_key)
        )
        authorities.append((f"{where}.ca_file", smarthost.ca_file))
        if smarthost.oauth2 is not None:
            authorities.append((f"{where}.oauth2.ca_file", smarthost.oauth2.ca_file))
    for key, certificate, private_key in pairs:
        if certificate is not None:
            yield Trial(key, "pair", certificate, private_key=private_key)
    for key, path in authorities:
        if path is not None:
            yield Trial(key, "authority", path)


def _spool(config: Config) -> Iterator[Trial]:
    """The directory, and the files in it that a command of another user may have made."""
    path = config.spool.path
    if path is None:
        return
    yield Trial("spool.url", "directory", existing_parent(path))
    if path.parent.is_dir():
        for file in sorted(path.parent.glob(f"{path.name}*")):
            yield Trial("spool.url", "spool", file)


def existing_parent(path: Path) -> Path:
    """The nearest directory above `path` that is there."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def _try(trial: Trial) -> dict[str, Any]:
    case, shut, reason = "good", None, None
    try:
        _open(trial)
    except (BadValueError, SecretError) as error:
        reason = {"nl": error.nl, "en": error.en}
    except OSError as error:
        reason = {"nl": error.strerror or str(error), "en": error.strerror or str(error)}
    if trial.secret is not None and trial.secret.kind in ("env", "credential"):
        case, reason = "environment", None
    if reason is not None:
        case, shut = _cause(trial)
        if _is_made_up():
            case, shut = _case_of_made_up(trial, case), None
    return {
        "case": case,
        "key": trial.key,
        "path": str(shut or trial.path or (trial.secret.name if trial.secret else "")),
        "reason": reason,
    }


def _open(trial: Trial) -> None:
    """Raises BadValueError, SecretError or OSError where it cannot be used."""
    if trial.secret is not None:
        trial.secret.read()
        return
    assert trial.path is not None
    if trial.kind == "pair":
        check_pair(trial.path, trial.private_key)
    elif trial.kind == "authority":
        check_authority(trial.path)
    elif not os.access(trial.path, _RIGHTS[trial.kind]):
        raise PermissionError(None, "permission denied", str(trial.path))


_RIGHTS = {"file": os.R_OK, "directory": os.W_OK | os.X_OK, "spool": os.R_OK | os.W_OK}


def _cause(trial: Trial) -> tuple[str, Path | None]:
    """Which text tells it, and the file or directory that is shut."""
    for path in (trial.path, trial.private_key):
        if path is None:
            continue
        shut = next((each for each in _way(path) if not os.access(each, os.X_OK)), None)
        if shut is not None:
            return "shut", shut
        if not os.access(path, _RIGHTS.get(trial.kind, os.R_OK)):
            cases = {"pair": "certificate", "authority": "certificate"}
            return cases.get(trial.kind, trial.kind), path
    return "unusable", None


def _is_made_up() -> bool:
    """This process's user is one of systemd's own making (DynamicUser=), whom nobody can give a
    file: its unit loads what it may not read itself."""
    return hasattr(os, "geteuid") and os.geteuid() in _MADE_UP_USERS


_MADE_UP_USERS = range(61184, 65520)


def _case_of_made_up(trial: Trial, case: str) -> str:
    if trial.kind in ("secret", "pair", "authority"):
        return "environment"
    return "public" if trial.kind == "file" else case


def _way(path: Path) -> Iterator[Path]:
    """The directories that lead to `path`, from the root on."""
    yield from reversed(path.absolute().parents)
