"""The tools that read DNS, where that is hostile: an answer in time, shown without its escapes.

And the settings of an address are looked up in DNS alone: nothing that it names is dialled.
"""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.nameserver import Fault, NameServer
from typer.testing import CliRunner

from diagnose import cli

MOST_SECONDS = 20.0
HEAD = "mijnbakkerij.nl. 60 IN A 192.0.2.1\n"


def txt(name: str, text: str) -> str:
    strings = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
    return f"{name}. 60 IN TXT {strings}\n"


LOOP = txt("mijnbakkerij.nl", "v=spf1 include:een.example -all") + txt(
    "een.example", "v=spf1 include:mijnbakkerij.nl -all"
)
ELEVEN = txt(
    "mijnbakkerij.nl", "v=spf1 " + " ".join(f"a:h{n}.mijnbakkerij.nl" for n in range(11)) + " -all"
) + "".join(f"h{n}.mijnbakkerij.nl. 60 IN A 192.0.2.{n + 1}\n" for n in range(11))
VOIDS = txt("mijnbakkerij.nl", "v=spf1 a:een.example a:twee.example a:drie.example -all")
LONG = txt("mijnbakkerij.nl", "v=spf1 " + "ip4:192.0.2.1 " * 4500 + "-all")
LONG_TAGS = "v=DMARC1; p=none; " + "x=y; " * 12000
MACRO_BOMB = txt("mijnbakkerij.nl", "v=spf1 " + "exists:" + "%{d9r}" * 300 + ".nl -all")
MACROS = txt(
    "mijnbakkerij.nl",
    "v=spf1 " + " ".join(f"exists:%{{l1r-}}.{n}.%{{d}}" for n in range(11)) + " -all",
)
SPF = {
    "loop": (LOOP, "permerror"),
    "eleven lookups": (ELEVEN, "permerror"),
    "three voids": (VOIDS, "permerror"),
    "64 kB": (LONG, "fail"),
    "macro bomb": (MACRO_BOMB, None),
    "macros": (MACROS, "permerror"),
}


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(HEAD) as running:
        yield running


def run(server: NameServer, *arguments: str) -> Any:
    began = time.monotonic()
    result = CliRunner().invoke(
        cli.app, [*arguments, "--nameserver", server.address, "--timeout", "2"]
    )
    assert time.monotonic() - began < MOST_SECONDS
    assert result.exit_code in (0, 1, 3), (result.output, result.exception)
    assert all(each.isprintable() or each == "\n" for each in result.output)
    assert len(result.output) < 300_000
    return result


@pytest.mark.parametrize("case", SPF)
def test_a_hostile_spf_record_ends_in_an_error_in_time(server: NameServer, case: str) -> None:
    zone, expected = SPF[case]
    server.publish(zone)
    run(server, "spf", "mijnbakkerij.nl")
    found = json.loads(run(server, "spf", "mijnbakkerij.nl", "--json").stdout)
    if expected is not None:
        assert found["coverage"][0]["result"] == expected
    assert found["verdict"] in ("fail", "unknown")
    assert found["lookups"]["limit_dns"] == 10
    # The caps hold: no more was asked than a reader of mail would.
    assert len(server.questions) < 200


@pytest.mark.parametrize("command", ["spf", "dmarc", "dkim"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("none", delay_seconds=5),
        Fault("silent"),
        Fault("wrong-id"),
        Fault("other-question"),
        Fault("garbage"),
        Fault("servfail"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.delay_seconds}",
)
def test_slow_and_lying_dns_is_could_not_check(
    server: NameServer, command: str, fault: Fault
) -> None:
    server.publish(txt("mijnbakkerij.nl", "v=spf1 -all"))
    for name in ("mijnbakkerij.nl", "_dmarc.mijnbakkerij.nl", "s1._domainkey.mijnbakkerij.nl"):
        server.faults[name] = fault
    more = ("--selector", "s1") if command == "dkim" else ()
    assert run(server, command, "mijnbakkerij.nl", *more).exit_code == 3


@pytest.mark.parametrize(
    ("command", "name"),
    [("dmarc", "_dmarc.mijnbakkerij.nl"), ("dkim", "s1._domainkey.mijnbakkerij.nl")],
)
def test_a_text_of_64_kb_with_escapes(server: NameServer, command: str, name: str) -> None:
    server.publish(txt(name, LONG_TAGS.replace("x=y", r"\027[31m=y")))
    more = ("--selector", "s1") if command == "dkim" else ()
    run(server, command, "mijnbakkerij.nl", *more)


INSIDE = ["127.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "::ffff:10.0.0.1", "localhost"]


@pytest.mark.parametrize("host", INSIDE)
def test_discovery_dials_nothing_that_dns_names(
    server: NameServer, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = host.strip("[]").replace(":", "-")
    server.publish(
        f"_submission._tcp.mijnbakkerij.nl. 60 IN SRV 0 0 80 {name}.\n"
        f"_submissions._tcp.mijnbakkerij.nl. 60 IN SRV 0 0 443 {name}.\n"
        f"mijnbakkerij.nl. 60 IN MX 0 {name}.\n"
        f"autodiscover.mijnbakkerij.nl. 60 IN A 127.0.0.1\n"
    )
    dialled: list[Any] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def noted(self: socket.socket, address: Any) -> None:
        dialled.append(address)
        connect(self, address)

    def noted_ex(self: socket.socket, address: Any) -> int:
        dialled.append(address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    monkeypatch.setattr(socket.socket, "connect_ex", noted_ex)
    run(server, "presets", "discover", "info@mijnbakkerij.nl")
    assert {address[:2] for address in dialled} <= {server.pair}
    # Neither a guess at a name (autodiscover, autoconfig) nor one above the domain.
    asked = {question.name for question in server.questions}
    assert asked
    for each in asked:
        assert each.endswith("mijnbakkerij.nl")
        assert not each.startswith(("autodiscover", "autoconfig"))
