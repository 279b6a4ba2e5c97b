"""Secrets by reference: what is read, what is refused, and that nothing is shown."""

import os
import stat
import sys
import types
from pathlib import Path

import pytest

from relay.config.fault import ConfigError
from relay.config.load import load
from relay.config.secret import SecretError, SecretKind, SecretRef

ENVIRON: dict[str, str] = {}


def secret_file(path: Path, content: bytes = b"geheim\n", mode: int = 0o600) -> SecretRef:
    file = path / "isp.secret"
    file.write_bytes(content)
    file.chmod(mode)
    return SecretRef("file", str(file))


def refusal(reference: SecretRef, environ: dict[str, str] = ENVIRON) -> SecretError:
    with pytest.raises(SecretError) as caught:
        reference.read(environ)
    assert caught.value.text("nl") != caught.value.text("en")
    return caught.value


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"geheim", "geheim"),
        (b"geheim\n", "geheim"),
        (b"geheim\r\n", "geheim"),
        (b"geheim\n\n", "geheim\n"),
        (b" ge heim ", " ge heim "),
        ("gehëim\n".encode(), "gehëim"),
    ],
)
def test_one_trailing_newline_is_dropped(tmp_path: Path, content: bytes, secret: str) -> None:
    assert secret_file(tmp_path, content).read(ENVIRON) == secret


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "empty" in refusal(secret_file(tmp_path, content)).en


@pytest.mark.skipif(os.name == "nt", reason="mode bits say nothing on Windows")
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_file_open_to_others_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    assert "chmod o-rwx" in refusal(secret_file(tmp_path, mode=mode)).nl


@pytest.mark.skipif(os.name == "nt", reason="mode bits say nothing on Windows")
def test_below_the_credentials_directory_the_mode_is_not_looked_at(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert secret_file(tmp_path, mode=0o644).read(environ) == "geheim"
    elsewhere = tmp_path / "below"
    elsewhere.mkdir()
    refusal(secret_file(tmp_path, mode=0o644), {"CREDENTIALS_DIRECTORY": str(elsewhere)})


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a right on Windows")
def test_a_link_into_the_credentials_directory_is_no_way_around(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    target = secret_file(outside, mode=0o644)
    (inside / "link").symlink_to(target.name)
    refusal(SecretRef("file", str(inside / "link")), {"CREDENTIALS_DIRECTORY": str(inside)})


def test_a_file_for_the_group_is_read_and_noted(tmp_path: Path) -> None:
    reference = secret_file(tmp_path, mode=0o640)
    assert reference.read(ENVIRON) == "geheim"
    assert reference.loose_group(ENVIRON) is (os.name != "nt")
    assert not secret_file(tmp_path, mode=0o600).loose_group(ENVIRON)


def test_what_cannot_be_a_secret_is_refused_without_showing_it(tmp_path: Path) -> None:
    binary = refusal(secret_file(tmp_path, b"hunter2\xff"))
    assert "UTF-8" in binary.en
    assert binary.__cause__ is None
    assert "larger" in refusal(secret_file(tmp_path, b"x" * 70_000)).en
    assert "bestaat niet" in refusal(SecretRef("file", str(tmp_path / "none"))).nl
    assert "map" in refusal(SecretRef("file", str(tmp_path))).nl


def test_a_secret_in_the_environment(tmp_path: Path) -> None:
    assert SecretRef("env", "PW").read({"PW": "geheim"}) == "geheim"
    assert "PW" in refusal(SecretRef("env", "PW")).nl
    refusal(SecretRef("env", "PW"), {"PW": ""})


def test_a_systemd_credential(tmp_path: Path) -> None:
    secret_file(tmp_path, mode=0o644)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert SecretRef("credential", "isp.secret").read(environ) == "geheim"
    assert "LoadCredential=isp.secret" in refusal(SecretRef("credential", "isp.secret")).nl
    for name in ("../isp.secret", "..", "a/b"):
        refusal(SecretRef("credential", name), environ)


def back_end(module: str, password: str = "geheim") -> object:
    """A back end of this module with one entry, `isp`, and one that is locked."""

    def get_password(_: object, service: str, name: str) -> str | None:
        if name == "locked":
            raise RuntimeError("hunter2")
        return {("relay", "isp"): password}.get((service, name))

    return type("Backend", (), {"__module__": module, "get_password": get_password})()


class FakeKeyring(types.ModuleType):
    """The module keyring, with the back end of the given module, or a chain of several."""

    def __init__(self, *modules: str) -> None:
        super().__init__("keyring")
        self.errors = types.ModuleType("keyring.errors")
        self.errors.KeyringError = RuntimeError  # type: ignore[attr-defined]
        found = [back_end(module, module) for module in modules]
        self.chosen = back_end(modules[0])
        if len(found) > 1:
            kind = type("ChainerBackend", (), {"__module__": "keyring.backends.chainer"})
            self.chosen = kind()
            self.chosen.backends = found  # type: ignore[attr-defined]

    def get_keyring(self) -> object:
        return self.chosen


def use_keyring(monkeypatch: pytest.MonkeyPatch, *backends: str) -> None:
    module = FakeKeyring(*backends)
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", module.errors)


def test_a_keyring_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keyring(monkeypatch, "keyring.backends.SecretService")
    assert SecretRef("keyring", "isp").read(ENVIRON) == "geheim"
    assert "keyring set relay other" in refusal(SecretRef("keyring", "other")).en
    assert "hunter2" not in refusal(SecretRef("keyring", "locked")).en


@pytest.mark.parametrize("backend", ["keyrings.alt.file", "keyring.backends.fail"])
def test_a_keyring_that_keeps_passwords_readable_is_refused(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    use_keyring(monkeypatch, backend)
    assert backend in refusal(SecretRef("keyring", "isp")).nl


def test_in_a_chain_only_the_safe_ones_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keyring(monkeypatch, "keyrings.alt.file", "keyring.backends.SecretService")
    assert SecretRef("keyring", "isp").read(ENVIRON) == "keyring.backends.SecretService"
    use_keyring(monkeypatch, "keyrings.alt.file", "keyring.backends.null")
    assert "keyrings.alt.file" in refusal(SecretRef("keyring", "isp")).en


def test_an_environment_variable_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(SecretRef("env", "PW"), {"PW": os.fsdecode(b"hunter2\xff")})
    assert "UTF-8" in error.en
    assert "hunter2" not in error.en + repr(error.__cause__)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "office-mail-relay[keyring]" in refusal(SecretRef("keyring", "isp")).en


@pytest.mark.parametrize("kind", ["file", "env"])
def test_the_repr_shows_kind_and_name_alone(kind: SecretKind) -> None:
    assert repr(SecretRef(kind, "a")) == f"SecretRef(kind='{kind}', name='a')"


CONFIG = """[[smarthost]]
name = "isp"
host = "mail.example.net"
username = "x"
password = { file = "isp.secret" }
"""


def test_a_file_named_relatively_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = secret_file(tmp_path)
    (tmp_path / "relay.toml").write_text(CONFIG)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    config = load(Path("../relay.toml"), ENVIRON)
    password = config.smarthost("isp").password
    assert password is not None
    assert Path(password.name).is_absolute()
    assert Path(password.name).samefile(reference.name)
    assert "geheim" not in repr(config)


@pytest.mark.skipif(os.name == "nt", reason="mode bits say nothing on Windows")
def test_the_configuration_reports_a_secret_open_to_others_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(CONFIG)
    secret_file(tmp_path, mode=0o644)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "relay.toml", ENVIRON)
    (fault,) = caught.value.faults
    assert (fault.line, fault.key) == (5, "smarthost[0].password")
    secret_file(tmp_path, mode=stat.S_IRUSR | stat.S_IRGRP)
    (warning,) = load(tmp_path / "relay.toml", ENVIRON).warnings
    assert (warning.line, warning.key) == (5, "smarthost[0].password")
