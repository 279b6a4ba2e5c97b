"""`relay dkim keygen` and `record`: the key file, the table to paste, the record to publish."""

import base64
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key
from typer.testing import CliRunner

from relay.cli.app import app
from relay.config.load import load

SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "mail.example.net"\nauth = "none"\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "relay.toml"
    file.write_text(SMARTHOST)
    return file


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["dkim", *arguments])
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def made(config: Path, *options: str) -> dict[str, Any]:
    arguments = ("keygen", "mijnbakkerij.nl", "--config", str(config), "--json", *options)
    found: dict[str, Any] = json.loads(run(*arguments).stdout)
    assert (found["schema"], found["command"]) == ("relay/1", "dkim keygen")
    return found


def private(file: Path) -> RSAPrivateKey:
    key = load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def public(value: str) -> RSAPublicKey:
    key = load_der_public_key(base64.b64decode(value.partition("p=")[2]))
    assert isinstance(key, RSAPublicKey)
    return key


def test_the_key_its_record_and_the_table_belong_together(config: Path) -> None:
    found = made(config)
    file = Path(found["key_file"])
    assert file == config.parent / "dkim-mijnbakkerij.nl-relay.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = private(file)
    assert key.key_size == found["bits"] == 2048
    record = found["record"]
    assert record["name"] == "relay._domainkey.mijnbakkerij.nl"
    assert public(record["value"]) == key.public_key()
    assert "".join(record["strings"]) == record["value"]
    assert [len(each) for each in record["strings"][:-1]] == [255]

    config.write_text(SMARTHOST + found["table"])
    (entry,) = load(config).dkim
    assert (entry.domain, entry.selector) == ("mijnbakkerij.nl", "relay")
    assert load(config).warnings == ()
    shown = json.loads(run("record", "mijnbakkerij.nl", "--config", str(config), "--json").stdout)
    assert shown["record"] == record


def test_no_file_is_ever_overwritten(config: Path) -> None:
    file = Path(made(config)["key_file"])
    before = file.read_bytes()
    arguments = ("keygen", "mijnbakkerij.nl", "--config", str(config), "--json")
    result = run(*arguments, code=2)
    assert (result.stdout, file.read_bytes()) == ("", before)
    assert "stays as it is" in run(*arguments, "--lang", "en", code=2).stderr
    assert "blijft zoals het is" in run(*arguments, "--lang", "nl", code=2).stderr
    assert made(config, "--selector", "relay2")["record"]["name"].startswith("relay2._domainkey.")


def test_a_place_of_ones_own_stands_whole_in_the_table(config: Path, tmp_path: Path) -> None:
    file = tmp_path / 'een "map"' / "sleutel.pem"
    file.parent.mkdir()
    found = made(config, "--out", str(file))
    config.write_text(SMARTHOST + found["table"])
    assert load(config).dkim[0].key.name == str(file)


def test_a_configuration_with_faults_does_not_stand_in_the_way(config: Path) -> None:
    config.write_text(SMARTHOST + '[[dkim]]\ndomain = "mijnbakkerij.nl"\nselector = "relay"\n')
    assert Path(made(config)["key_file"]).exists()


def test_without_a_configuration_the_key_lies_here(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = json.loads(run("keygen", "mijnbakkerij.nl", "--json").stdout)
    assert Path(found["key_file"]).parent == tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["mijnbakkerij"],
        ["mijn bakkerij.nl"],
        ["../x.nl"],
        ["mijnbakkerij.nl", "--selector", "a b"],
        ["mijnbakkerij.nl", "--selector", "../x"],
        ["mijnbakkerij.nl", "--out", "/nergens/x.pem"],
    ],
)
def test_what_cannot_be_is_refused_and_nothing_made(
    config: Path, tmp_path: Path, arguments: list[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert run("keygen", *arguments, "--config", str(config), code=2).stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("lang", "word"), [("nl", "Plaats dit TXT-record"), ("en", "Publish this")]
)
def test_the_record_for_people(config: Path, lang: str, word: str) -> None:
    found = made(config)
    config.write_text(SMARTHOST + found["table"])
    text = run("record", "MIJNBAKKERIJ.nl", "--config", str(config), "--lang", lang).stdout
    assert word in text
    assert f"\n{found['record']['value']}\n" in text
    assert re.findall(r'"([^"]+)"', text) == found["record"]["strings"]
    assert "PRIVATE" not in text


def test_a_domain_without_a_key(config: Path) -> None:
    result = run("record", "elders.nl", "--config", str(config), "--lang", "en", code=1)
    assert result.stdout == ""
    assert "relay dkim keygen elders.nl" in result.stderr
