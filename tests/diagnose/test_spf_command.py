"""`diagnose spf` as the help desk runs it, against a real name server on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.nameserver import Fault, NameServer
from fakes.nsd import Nsd
from fakes.peers import needs
from typer.testing import CliRunner

from diagnose import cli

ZONE = """
mijnbakkerij.nl. 300 IN TXT "v=spf1 include:spf.protection.outlook.com -all"
mijnbakkerij.nl. 300 IN MX 10 mx.mijnbakkerij.nl.
spf.protection.outlook.com. 300 IN TXT "v=spf1 ip4:40.92.0.0/15 ip4:52.100.0.0/14 -all"
zonder.nl. 300 IN MX 10 mx.zonder.nl.
"""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[NameServer]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("RELAY_CONFIG", "CONFIGURATION_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    with NameServer(ZONE) as server:
        yield server


def run(names: NameServer, *arguments: str) -> Any:
    shared = ["--nameserver", names.address, "--timeout", "2", "--lang", "en"]
    return CliRunner().invoke(cli.app, ["spf", *arguments, *shared])


def document(names: NameServer, *arguments: str, code: int) -> dict[str, Any]:
    result = run(names, *arguments, "--json")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ordernow_is_not_covered_until_the_suggestion_is_published(names: NameServer) -> None:
    before = document(names, "mijnbakkerij.nl", "--via", "microsoft365", code=1)
    rows = {row["source"]: row for row in before["coverage"]}
    assert rows["ordernow"]["address"] == "84.246.4.155"
    assert rows["ordernow"]["result"] == "fail"
    assert rows["microsoft365"]["result"] == "pass"
    assert rows["microsoft365"]["networks"] == {"total": 2, "covered": 2}
    suggestion = before["suggestion"]
    assert suggestion["verified"] is True
    assert suggestion["record"].endswith(" -all")
    assert "ip4:84.246.4.155" in suggestion["record"]
    names.withdraw("mijnbakkerij.nl", "TXT")
    names.publish(f'mijnbakkerij.nl. 300 IN TXT "{suggestion["record"]}"')
    after = document(names, "mijnbakkerij.nl", "--via", "microsoft365", code=0)
    assert {row["result"] for row in after["coverage"]} == {"pass"}
    assert after["suggestion"] is None


@needs("nsd")
def test_the_same_with_a_real_name_server(names: NameServer, tmp_path: Path) -> None:
    zone = "$TTL 60\n" + ZONE
    asked = ["mijnbakkerij.nl", "--via", "microsoft365", "--timeout", "5", "--json"]
    with Nsd(zone, tmp_path) as server:

        def examined() -> tuple[int, dict[str, Any]]:
            result = CliRunner().invoke(cli.app, ["spf", *asked, "--nameserver", server.address])
            return result.exit_code, json.loads(result.stdout)

        code, before = examined()
        assert code == 1
        owned = 'TXT "v=spf1 include:spf.protection.outlook.com -all"'
        server.publish(zone.replace(owned, f'TXT "{before["suggestion"]["record"]}"'))
        code, after = examined()
        assert code == 0
        assert {row["result"] for row in after["coverage"]} == {"pass"}


def test_a_record_can_be_tried_before_it_is_published(names: NameServer) -> None:
    tried = "v=spf1 ip4:84.246.4.155 -all"
    found = document(names, "mijnbakkerij.nl", "--record", tried, code=0)
    assert found["record"] == tried
    assert names.asked("mijnbakkerij.nl", "TXT") == 0


def test_a_record_that_cannot_be_read_is_told_by_two_parsers(names: NameServer) -> None:
    found = document(names, "mijnbakkerij.nl", "--record", "v=spf1 ip4:1.2.3.300 -all", code=1)
    ids = [each["id"] for each in found["findings"]]
    assert "spf-syntax" in ids
    assert "spf-syntax-advice" in ids


def test_without_ordernow_it_is_not_asked_for(names: NameServer) -> None:
    found = document(names, "mijnbakkerij.nl", "--via", "microsoft365", "--no-ordernow", code=0)
    assert [row["source"] for row in found["coverage"]] == ["microsoft365"]


def test_a_provider_whose_addresses_nobody_knows_is_unknown(names: NameServer) -> None:
    found = document(names, "mijnbakkerij.nl", "--via", "ziggo", "--no-ordernow", code=3)
    assert found["coverage"][0]["result"] == "unknown"
    assert found["verdict"] == "unknown"
    assert any(each["severity"] == "unknown" and each["remedy"] for each in found["findings"])


def test_a_domain_without_a_record_gets_one_suggested(names: NameServer) -> None:
    found = document(names, "zonder.nl", code=1)
    assert found["record"] is None
    assert found["suggestion"]["record"] == "v=spf1 ip4:84.246.4.155 ~all"


@pytest.mark.parametrize(
    "arguments",
    [
        ["not a domain"],
        ["mijnbakkerij.nl", "--via", "zigo"],
        ["mijnbakkerij.nl", "--ip", "300.1.1.1"],
        ["mijnbakkerij.nl", "--nameserver", "ns1.example.nl"],
        ["mijnbakkerij.nl", "-4", "-6"],
    ],
)
def test_bad_input_is_exit_2_with_a_reason(names: NameServer, arguments: list[str]) -> None:
    result = CliRunner().invoke(cli.app, ["spf", *arguments, "--json"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.strip()


def test_a_dead_name_server_is_could_not_check(names: NameServer) -> None:
    names.stop()
    found = document(names, "mijnbakkerij.nl", code=3)
    assert found["verdict"] == "unknown"


def test_the_table_ends_with_what_matters_most(names: NameServer) -> None:
    text = run(names, "mijnbakkerij.nl").stdout
    assert "ordernow" in text
    assert "Publish (verified): v=spf1" in text
    assert text.rstrip().splitlines()[-1].strip()


def test_an_address_that_is_none_is_told_in_the_users_language(names: NameServer) -> None:
    for language, words in (("nl", "is geen IP-adres"), ("en", "is no IP address")):
        arguments = ["mijnbakkerij.nl", "--ip", "1.2.3", "--lang", language]
        result = CliRunner().invoke(cli.app, ["spf", *arguments, "--nameserver", names.address])
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr


def test_a_long_record_behind_a_slow_name_server_ends_within_the_time(names: NameServer) -> None:
    """Ten times the limit of a step; what was not reached by then is not asked any more."""
    includes = [f"i{number}.lang.nl" for number in range(40)]
    text = " ".join(f"include:{name}" for name in includes)
    record = f"v=spf1 {text} -all"
    strings = " ".join(f'"{record[at : at + 250]}"' for at in range(0, len(record), 250))
    names.publish(f"lang.nl. 300 IN TXT {strings}")
    names.publish("\n".join(f'{name}. 300 IN TXT "v=spf1 -all"' for name in includes))
    names.faults["*.lang.nl"] = Fault("none", delay_seconds=0.15)
    arguments = ["lang.nl", "--nameserver", names.address, "--timeout", "0.2", "--json"]
    result = CliRunner().invoke(cli.app, ["spf", *arguments])
    assert result.exit_code in (1, 3), (result.stdout, result.stderr, result.exception)
    found = json.loads(result.stdout)
    assert "spf-no-record" not in {each["id"] for each in found["findings"]}
    assert sum(names.asked(name) > 0 for name in includes) < 20
