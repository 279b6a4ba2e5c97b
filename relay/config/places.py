"""Where the relay looks for its configuration and keeps its state, by system and environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

FILE_NAME = "relay.toml"
SYSTEM_CONFIG = Path("/etc/relay")
SYSTEM_STATE = Path("/var/lib/relay")


def find(
    explicit: Path | None, environ: Mapping[str, str], etc: Path = SYSTEM_CONFIG
) -> Path | None:
    """The configuration to use: what is named, else the first file that is there, else None.

    `--config` and `$RELAY_CONFIG` name one: that path is returned whether it exists or not, so
    that a mistake in it is an error and not a sandbox.
    """
    if explicit is not None:
        return explicit
    if named := environ.get("RELAY_CONFIG"):
        return Path(named)
    return next((path for path in _candidates(environ, etc) if is_there(path)), None)


def is_there(path: Path) -> bool:
    """True unless the system says that there is no such thing: no right to look counts as there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _candidates(environ: Mapping[str, str], etc: Path) -> Iterator[Path]:
    # systemd separates several directories by colons.
    for directory in environ.get("CONFIGURATION_DIRECTORY", "").split(":"):
        if directory:
            yield Path(directory) / FILE_NAME
    if os.name == "nt":
        yield _program_data(environ) / FILE_NAME
        yield Path(environ.get("APPDATA") or _home(environ)) / "relay" / FILE_NAME
        return
    yield etc / FILE_NAME
    home = environ.get("XDG_CONFIG_HOME")
    yield (Path(home) if home else _home(environ) / ".config") / "relay" / FILE_NAME


def place_for_new(environ: Mapping[str, str], etc: Path = SYSTEM_CONFIG) -> Path:
    """Where a configuration is made where there is none: the system's place for root and on
    Windows, else the user's own."""
    places = [*_candidates(environ, etc)]
    if os.name == "nt":
        return places[0]
    return etc / FILE_NAME if os.geteuid() == 0 else places[-1]


def state_directory(environ: Mapping[str, str], system: Path = SYSTEM_STATE) -> Path:
    """Where the spool lies unless the configuration says so: systemd's directory, the system's, the user's."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if os.name == "nt":
        return _program_data(environ)
    if system.is_dir() or os.geteuid() == 0:
        return system
    return user_state_directory(environ)


def user_state_directory(environ: Mapping[str, str]) -> Path:
    """The user's own state directory: `$XDG_STATE_HOME/relay`, `~/.local/state/relay`."""
    if os.name == "nt":
        return Path(environ.get("LOCALAPPDATA") or _home(environ)) / "relay"
    home = environ.get("XDG_STATE_HOME")
    return (Path(home) if home else _home(environ) / ".local" / "state") / "relay"


def _program_data(environ: Mapping[str, str]) -> Path:
    return (
        Path(environ.get("PROGRAMDATA") or environ.get("ProgramData") or "C:/ProgramData") / "relay"
    )


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home) if home else Path.home()
