"""`relay service`: the relay as a service of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, LangOption
from relay.cli.output import print_json
from relay.cli.session import Session, open_session, talk

app = typer.Typer(
    name="service",
    help="The relay as a service that starts with the machine.\n\n"
    "Example: relay service unit > /etc/systemd/system/relay.service",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    pass


@app.command()
def unit(
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="NAME", help="A user of this machine; else systemd makes one up."
        ),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option("--program", metavar="FILE", help="The relay to start; else this one."),
    ] = None,
    config: ConfigOption = None,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the unit of systemd for this configuration, as shut in as it can be.

    Print it anew after a change of the listeners' ports, of the spool's place, or of the files
    that hold secrets.

    Example: relay service unit --config /etc/relay/relay.toml > /etc/systemd/system/relay.service
    """
    from relay.control.documents import document
    from relay.packaging.unit import Installation, SpoolElsewhere, render

    with _state_of_the_service():
        session = open_session(config, lang, as_json)
    if session.config.path is None:
        session.stop("service.no-config")
    if user is not None and not _is_name(user):
        session.stop("service.no-user", user=user)
    relay = program.absolute() if program is not None else _this_program()
    try:
        text = render(session.config, Installation(relay, user))
    except SpoolElsewhere as error:
        session.stop("service.spool-elsewhere", path=error)
    except ValueError as error:
        session.stop("service.odd-path", reason=error)
    if as_json:
        print_json(document("service unit", unit=text))
    else:
        print(text, end="")
    _warn(session, relay, user)


@contextlib.contextmanager
def _state_of_the_service() -> Iterator[None]:
    """A spool that the configuration does not name is in the service's directory, not in ours."""
    from relay.config.places import SYSTEM_STATE

    before = os.environ.get("STATE_DIRECTORY")
    os.environ["STATE_DIRECTORY"] = before or str(SYSTEM_STATE)
    try:
        yield
    finally:
        if before is None:
            del os.environ["STATE_DIRECTORY"]


def _this_program() -> Path:
    """The command that runs now, as the service can start it."""
    beside = Path(sys.executable).with_name("relay")
    found = shutil.which(sys.argv[0]) or shutil.which("relay")
    return beside if beside.exists() or found is None else Path(found).absolute()


def _is_name(user: str) -> bool:
    return user.isascii() and user.replace("-", "").replace("_", "").isalnum()


def _warn(session: Session, program: Path, user: str | None) -> None:
    """What would keep the service from starting."""
    from relay.packaging.unit import hidden

    path = session.config.path
    assert path is not None
    if not program.exists():
        talk(session.text("service.no-program", path=program))
    for place in hidden(program, Path(sys.executable), path.absolute()):
        talk(session.text("service.hidden", path=place))
    # Whose files they may be is known of a user of this machine only: relay check looks.
    if user is None and (shut := _shut(path.absolute())):
        talk(session.text("service.unreadable", path=path, paths=" ".join(map(str, shut))))


def _shut(path: Path) -> list[Path]:
    """The configuration and its directory, as far as they are closed to other users."""
    if sys.platform == "win32":
        return []
    wanted = ((path.parent, stat.S_IXOTH), (path, stat.S_IROTH))
    return [each for each, bit in wanted if not each.stat().st_mode & bit]
