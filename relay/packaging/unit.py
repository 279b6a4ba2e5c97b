"""The unit of systemd for one configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relay.config.credentials import credential_name
from relay.config.model import Config
from relay.config.places import SYSTEM_CONFIG, SYSTEM_STATE
from relay.config.references import references
from relay.config.secret import SecretRef
from relay.packaging import UNIT, packaged

CREDENTIAL_STORE = Path("/etc/credstore")
"""Where systemd looks for credentials; one that the configuration names by name alone is taken from here."""

_FIRST_FREE_PORT = 1024
_STATE_ROOT = SYSTEM_STATE.parent
_ETC = SYSTEM_CONFIG.parent
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))


class SpoolElsewhere(ValueError):
    """The spool is not below /var/lib: only a user of this machine can own it there."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What the unit says of this machine; `user` is None for one that systemd makes up."""

    program: Path
    user: str | None = None


def render(config: Config, installation: Installation) -> str:
    """The unit's text. Raises SpoolElsewhere."""
    path = config.path or SYSTEM_CONFIG / "relay.toml"
    words = (str(installation.program), "serve", "--config", str(path.absolute()))
    blanks = {
        "EXEC": " ".join(map(_word, words)),
        "USER": "\n".join(_user(installation)),
        "STATE": "\n".join(_state(config, installation)),
        "CREDENTIALS": "\n".join(_credentials(config)),
        "PORTS": "\n".join(_ports(config)),
    }
    text = packaged(UNIT)
    for name, value in blanks.items():
        text = text.replace(f"@{name}@", value)
    return text


def hidden(*paths: Path) -> list[Path]:
    """Those that the service will not find: home directories and /tmp are shut to it."""
    real = (path.resolve() for path in paths)
    return [path for path in real if any(path.is_relative_to(each) for each in _HIDDEN)]


def _user(installation: Installation) -> Iterator[str]:
    if installation.user is None:
        yield "# systemd makes this user up, or takes the one of this machine that is named so."
        yield "DynamicUser=yes"
    yield f"User={installation.user or 'relay'}"


def _state(config: Config, installation: Installation) -> Iterator[str]:
    folder = SYSTEM_STATE if config.spool.path is None else config.spool.path.parent
    if folder.is_relative_to(_STATE_ROOT) and folder != _STATE_ROOT:
        yield f"StateDirectory={_item(folder.relative_to(_STATE_ROOT))}"
        yield "StateDirectoryMode=0700"
    elif installation.user is None:
        raise SpoolElsewhere(str(folder))
    else:
        yield f"ReadWritePaths={_item(folder)}"
    place = None if config.path is None else config.path.absolute().parent
    if place is not None and place != _ETC and place.is_relative_to(_ETC):
        yield f"ConfigurationDirectory={_item(place.relative_to(_ETC))}"


def _credentials(config: Config) -> Iterator[str]:
    """Each secret and each certificate, so that they may stay root's alone."""
    found = {each: None for each in references(config) if each not in _own_files(config)}
    if found:
        yield "# Loaded at the start: after a changed password, systemctl restart relay."
    for each in found:
        if isinstance(each, Path):
            yield _load(credential_name(each), each)
        elif each.kind == "file":
            yield _load(credential_name(Path(each.name)), Path(each.name))
        elif each.kind == "credential":
            yield _load(each.name, CREDENTIAL_STORE / each.name)
        elif each.kind == "env":
            yield f"# {_comment(each)} comes from the environment: Environment= or EnvironmentFile="
        else:
            yield f"# {_comment(each)} is in a key ring, which no service has: use file or credential"


def _own_files(config: Config) -> tuple[Path | None, ...]:
    return config.path, config.spool.path


def _comment(secret: SecretRef) -> str:
    return " ".join(f"{secret.kind} = {secret.name}".split())


def _load(name: str, path: Path) -> str:
    return f"LoadCredential={name}:{_setting(str(path))}"


def _ports(config: Config) -> Iterator[str]:
    ports = [each.port for each in config.listeners]
    if config.web.enabled:
        ports.append(config.web.port)
    if any(0 < port < _FIRST_FREE_PORT for port in ports):
        yield "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"
        yield "AmbientCapabilities=CAP_NET_BIND_SERVICE"
    else:
        yield "CapabilityBoundingSet="
        yield "PrivateUsers=yes"


def _setting(text: str) -> str:
    """A value as a unit has it: `%` begins a specifier there. Raises ValueError: a control character."""
    if not text.isprintable():
        raise ValueError(f"{text!r} cannot stand in a unit")
    return text.replace("%", "%%")


def _item(path: Path) -> str:
    """A path in a list of them, which blanks separate."""
    return _quoted(str(path), _setting(str(path)))


def _word(text: str) -> str:
    """One word of a command line, where `$` begins a variable too."""
    return _quoted(text, _setting(text).replace("$", "$$"))


def _quoted(text: str, escaped: str) -> str:
    if not any(sign in text for sign in " ;'\"\\"):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'
