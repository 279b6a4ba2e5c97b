"""Which configuration is found, when the sandbox runs, and where the spool lies."""

import os
import socket
from pathlib import Path

import pytest

from relay.config.defaults import locale_language, own_hostname
from relay.config.fault import ConfigError
from relay.config.load import resolve_config
from relay.config.places import find, is_there, state_directory

TEXT = '[[smarthost]]\nname = "isp"\nhost = "mail.example.net"\n'
posix = pytest.mark.skipif(os.name == "nt", reason="other places on Windows")


def config_in(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "relay.toml"
    file.write_text(TEXT)
    return file


@posix
def test_the_order_of_the_places(tmp_path: Path) -> None:
    etc, unit, xdg = tmp_path / "etc", tmp_path / "unit", tmp_path / "xdg"
    environ = {
        "XDG_CONFIG_HOME": str(xdg),
        "CONFIGURATION_DIRECTORY": f"{tmp_path / 'other'}:{unit}",
        "HOME": "/nonexistent",
    }
    assert find(None, environ, etc) is None
    user = config_in(xdg / "relay")
    assert find(None, environ, etc) == user
    system = config_in(etc)
    assert find(None, environ, etc) == system
    given = config_in(unit)
    assert find(None, environ, etc) == given
    named = tmp_path / "named.toml"  # which is not there
    assert find(None, {**environ, "RELAY_CONFIG": str(named)}, etc) == named
    assert find(Path("x.toml"), {**environ, "RELAY_CONFIG": str(named)}, etc) == Path("x.toml")


@posix
def test_the_user_s_directory_below_home(tmp_path: Path) -> None:
    file = config_in(tmp_path / ".config" / "relay")
    assert find(None, {"HOME": str(tmp_path)}, tmp_path / "etc") == file


def test_what_may_not_be_looked_at_counts_as_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    assert is_there(Path("/etc/relay/relay.toml"))


@posix
def test_without_any_configuration_the_sandbox_runs(tmp_path: Path) -> None:
    config = resolve_config(None, {"HOME": str(tmp_path), "LANG": "nl_NL.UTF-8"}, tmp_path / "etc")
    assert config.sandbox
    assert config.language == "nl"
    assert [(one.host, one.port) for one in config.listeners] == [
        ("127.0.0.1", 2525),
        ("::1", 2525),
    ]
    assert (config.web.enabled, config.web.host, config.web.port) == (True, "127.0.0.1", 8025)
    assert config.spool.path == tmp_path / ".local" / "state" / "relay" / "spool.db"
    assert (config.smarthosts, config.clients, config.path) == ((), (), None)
    assert not (tmp_path / ".local").exists()  # nothing is made by looking


@pytest.mark.parametrize("variable", ["NOTIFY_SOCKET", "INVOCATION_ID", "CONFIGURATION_DIRECTORY"])
def test_a_service_without_its_configuration_is_no_sandbox(tmp_path: Path, variable: str) -> None:
    environ = {"HOME": str(tmp_path), variable: str(tmp_path / "x")}
    with pytest.raises(ConfigError) as caught:
        resolve_config(None, environ, tmp_path / "etc")
    assert "--config" in caught.value.faults[0].nl


def test_an_empty_system_directory_is_no_sandbox(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    with pytest.raises(ConfigError) as caught:
        resolve_config(None, {"HOME": str(tmp_path)}, tmp_path / "etc")
    assert caught.value.faults[0].file == str(tmp_path / "etc" / "relay.toml")


@pytest.mark.parametrize("by_variable", [True, False])
def test_a_named_configuration_that_is_missing_is_no_sandbox(
    tmp_path: Path, by_variable: bool
) -> None:
    missing = tmp_path / "missing.toml"
    environ = {"HOME": str(tmp_path)} | ({"RELAY_CONFIG": str(missing)} if by_variable else {})
    with pytest.raises(ConfigError):
        resolve_config(None if by_variable else missing, environ, tmp_path / "etc")


@posix
def test_where_the_spool_lies_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    system = tmp_path / "var"
    home = {"HOME": str(tmp_path)}
    assert state_directory(home, system) == tmp_path / ".local" / "state" / "relay"
    assert state_directory({**home, "XDG_STATE_HOME": "/s"}, system) == Path("/s/relay")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_directory(home, system) == system
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    system.mkdir()
    assert state_directory(home, system) == system
    assert state_directory({**home, "STATE_DIRECTORY": "/a:/b"}, system) == Path("/a")


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "nl_BE.UTF-8"}, "nl"),
        ({"LANG": "nl_NL", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "nl_NL"}, "nl"),
        ({"LANG": "nl_NL", "LC_ALL": ""}, "nl"),
    ],
)
def test_the_language_follows_the_locale(environ: dict[str, str], language: str) -> None:
    assert locale_language(environ) == language


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("relay.mijnbakkerij.nl", "relay.mijnbakkerij.nl"),
        ("SERVER", "server.localdomain"),
        ("Kassa van Jan_2", "kassa-van-jan-2.localdomain"),
        ("bäckerei.local", "b-ckerei.local"),
        ("-.-", "relay.localdomain"),
        ("", "relay.localdomain"),
        ("a." * 200, ".".join("a" * 120)),
        ("x" * 80, "x" * 63 + ".localdomain"),
    ],
)
def test_the_machine_s_name_is_made_fit_for_ehlo(
    monkeypatch: pytest.MonkeyPatch, system: str, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: system)
    assert own_hostname() == name
