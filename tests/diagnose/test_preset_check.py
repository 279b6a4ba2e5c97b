"""`diagnose presets check` against a name server and mail servers on loopback."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.nameserver import Fault, Kind, NameServer
from fakes.ports import free_port
from fakes.smarthost import Behaviour, Smarthost
from typer.testing import CliRunner

from diagnose import cli
from diagnose.checks.preset_check import examine
from diagnose.finding import Examination
from diagnose.runner import Circumstances
from presets.catalog import catalog
from presets.model import Endpoint, Legacy, Preset

HOST = "smtp.ziggo.nl"
USERS = {"bakker": "geheim"}


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer(f"{HOST}. 60 IN A 127.0.0.1") as running:
        yield running


@pytest.fixture
def server(authority: Authority) -> Iterator[Smarthost]:
    behaviour = Behaviour(
        tls="starttls", context=authority.issue(HOST).server_context(), users=USERS
    )
    with Smarthost(behaviour) as running:
        yield running


def preset(*ports: int, **changes: Any) -> Preset:
    """Ziggo's, with these ports instead of its own."""
    whole = catalog().get("ziggo")
    endpoints = tuple(replace(whole.endpoints[0], port=port, **changes) for port in ports)
    return replace(whole, endpoints=endpoints, legacy=None)


async def check(names: NameServer, *presets: Preset, timeout_seconds: float = 2) -> Examination:
    circumstances = Circumstances(timeout_seconds=timeout_seconds, nameserver=names.pair)
    return await examine(presets, None, circumstances)


def severities(found: Examination) -> dict[str, str]:
    return {finding.id: finding.severity.value for finding in found.findings}


async def test_a_server_as_the_preset_says(names: NameServer, server: Smarthost) -> None:
    found = await check(names, preset(server.port))
    assert severities(found) == {"preset-ok": "ok"}
    (document,) = found.content["presets"]
    assert document["hosts"] == [{"host": HOST, "addresses": ["127.0.0.1"]}]
    (endpoint,) = document["endpoints"]
    assert (endpoint["outcome"], endpoint["tls"]) == ("open", "starttls")
    assert endpoint["auth"] == ["PLAIN", "LOGIN"]
    assert [session.times["AUTH"] for session in server.sessions] == [0]


async def test_starttls_that_is_gone(names: NameServer) -> None:
    plain = Behaviour(users=USERS, login_without_tls=True, script={"CONNECT": f"220 {HOST} ESMTP"})
    with Smarthost(plain) as server:
        found = await check(names, preset(server.port))
    assert severities(found) == {"preset-tls-differs": "error"}


async def test_an_unconfirmed_preset_that_differs_is_a_warning(names: NameServer) -> None:
    plain = Behaviour(users=USERS, login_without_tls=True, script={"CONNECT": f"220 {HOST} ESMTP"})
    with Smarthost(plain) as server:
        found = await check(names, preset(server.port, confidence="low"))
    assert severities(found) == {"preset-tls-differs": "warning"}


@pytest.mark.parametrize(
    ("auth", "id_", "severity"),
    [
        (("XOAUTH2",), "preset-auth-differs", "error"),
        (("XOAUTH2", "PLAIN"), "preset-auth-fewer", "info"),
        (("none",), "preset-ok", "ok"),
    ],
)
async def test_ways_to_log_in(
    names: NameServer, server: Smarthost, auth: tuple[str, ...], id_: str, severity: str
) -> None:
    found = await check(names, preset(server.port, auth=auth))
    assert severities(found) == {id_: severity}


async def test_a_port_that_is_closed(names: NameServer, server: Smarthost) -> None:
    found = await check(names, preset(server.port, free_port()))
    assert severities(found) == {"preset-ok": "ok", "preset-port-closed": "error"}


async def test_a_server_that_greets_with_a_refusal(names: NameServer) -> None:
    with Smarthost(Behaviour(script={"CONNECT": "554 5.7.1 not you"})) as server:
        found = await check(names, preset(server.port))
    assert severities(found) == {"preset-not-ready": "warning"}


async def test_another_server_in_between_was_not_the_provider(names: NameServer) -> None:
    with Smarthost(Behaviour(users=USERS, login_without_tls=True)) as server:
        found = await check(names, preset(server.port))
    assert severities(found) == {"preset-port-silent": "unknown"}


async def test_a_name_that_is_gone(names: NameServer) -> None:
    names.withdraw(HOST)
    found = await check(names, preset(587))
    assert severities(found) == {"preset-name-gone": "error"}


@pytest.mark.parametrize("kind", ["silent", "servfail", "garbage"])
async def test_dns_that_fails_is_could_not_check(names: NameServer, kind: Kind) -> None:
    names.faults["*"] = Fault(kind)
    began = time.monotonic()
    found = await check(names, preset(587, 465), timeout_seconds=0.2)
    assert time.monotonic() - began < 2.2
    assert severities(found) == {"preset-dns-failed": "unknown"}
    assert found.exit_code(strict=False) == 3


async def test_a_server_that_never_greets_was_not_checked(names: NameServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        found = await check(names, preset(mute.getsockname()[1]), timeout_seconds=0.2)
    assert found.exit_code(strict=False) in (1, 3)


async def test_an_address_of_2015_that_has_moved(names: NameServer, server: Smarthost) -> None:
    old = catalog().get("ziggo").legacy
    assert old is not None
    found = await check(names, replace(preset(server.port), legacy=old))
    assert severities(found) == {"preset-ok": "ok", "legacy-moved": "info"}
    assert found.content["presets"][0]["legacy"] == {
        "server": HOST,
        "address": "212.54.42.9",
        "moved": True,
    }
    names.withdraw(HOST)
    names.publish(f"{HOST}. 60 IN A 212.54.42.9")
    still = await check(names, replace(preset(), legacy=old))
    assert severities(still) == {}


async def test_a_server_of_2015_that_is_gone(names: NameServer, server: Smarthost) -> None:
    old = catalog().get("ziggo").legacy
    assert isinstance(old, Legacy)
    gone = replace(old, server="mail.weg.example")
    found = await check(names, replace(preset(server.port), legacy=gone))
    assert severities(found) == {"preset-ok": "ok", "legacy-name-gone": "info"}


async def test_a_preset_without_a_fixed_server(names: NameServer) -> None:
    blank = replace(catalog().get("ziggo").endpoints[0], host="web<NNNN>.zxcs.nl")
    assert isinstance(blank, Endpoint)
    one = replace(preset(), endpoints=(blank,))
    assert severities(await check(names, one)) == {"preset-nothing": "unknown"}
    assert severities(await check(names, one, one)) == {"preset-nothing": "info"}


def test_the_command(names: NameServer) -> None:
    names.withdraw(HOST)
    arguments = ["presets", "check", "ziggo", "--nameserver", names.address, "--json"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1, result.output
    document = json.loads(result.stdout)
    assert (document["command"], document["target"]) == ("presets check", "ziggo")
    assert [finding["id"] for finding in document["findings"]] == ["preset-name-gone"]


def test_all_presets_where_no_name_exists(names: NameServer) -> None:
    arguments = ["presets", "check", "--all", "--nameserver", names.address, "--json"]
    names.withdraw(HOST)
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1, result.output
    assert len(json.loads(result.stdout)["presets"]) == len(catalog())


@pytest.mark.parametrize("arguments", [["zigo"], ["ziggo", "--all"]])
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli.app, ["presets", "check", *arguments, "--json"])
    assert (result.exit_code, result.stdout) == (2, "")
