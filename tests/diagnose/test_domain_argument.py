"""The DOMAIN and ADDRESS that people type."""

import pytest
from fakes.nameserver import Fault, NameServer

from diagnose.domain import BadName, existence, parse_address, parse_domain, parse_selector
from diagnose.runner import Circumstances


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("mijnbakkerij.nl", "mijnbakkerij.nl"),
        (" MijnBakkerij.NL. ", "mijnbakkerij.nl"),
        ("bäckerij.nl", "xn--bckerij-5wa.nl"),
        ("xn--bckerij-5wa.nl", "xn--bckerij-5wa.nl"),
        ("_spf.mijnbakkerij.nl", "_spf.mijnbakkerij.nl"),
        ("mijnbakkerij。nl", "mijnbakkerij.nl"),
    ],
)
def test_domains(typed: str, name: str) -> None:
    found = parse_domain(typed, "nl")
    assert (found.name, found.notes) == (name, ())


@pytest.mark.parametrize("typed", ["info@mijnbakkerij.nl", "<info@MijnBakkerij.nl>"])
def test_an_address_stands_for_its_domain_with_a_note(typed: str) -> None:
    found = parse_domain(typed, "en")
    assert found.name == "mijnbakkerij.nl"
    assert [note.id for note in found.notes] == ["address-given"]


@pytest.mark.parametrize(
    "typed",
    [
        *("", ".", "..", "nl", "mijnbakkerij", "mijnbakkerij..nl", ".nl", "-a.nl", "a-.nl"),
        *("https://mijnbakkerij.nl", "mijnbakkerij.nl/pad", "mijnbakkerij.nl:25", "a b.nl"),
        *("1.2.3.4", "[1.2.3.4]", "2001:db8::1", "1.2.3", "a.123", "*.nl", "a\x1b[31m.nl"),
        *("x" * 64 + ".nl", "x." * 130 + "nl", "@mijnbakkerij.nl", "info@", "info@1.2.3.4"),
        *("xn--\u00e9.nl\udc80", "a\nb.nl"),
    ],
)
@pytest.mark.parametrize("language", ["nl", "en"])
def test_what_is_no_domain_says_what_to_type(typed: str, language: str) -> None:
    with pytest.raises(BadName) as raised:
        parse_domain(typed, language)  # type: ignore[arg-type]
    assert "mijnbakkerij.nl" in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_addresses() -> None:
    assert str(parse_address(" <Jan.de-Vries+x@MijnBakkerij.nl> ", "nl")) == (
        "Jan.de-Vries+x@mijnbakkerij.nl"
    )
    assert str(parse_address("jän@bäckerij.nl", "nl")) == "jän@xn--bckerij-5wa.nl"


@pytest.mark.parametrize("text", ["a,b@c.nl", "a@b@c.nl", "a\r\nb@c.nl", '"a b"@c.nl', "a@c.nl>,"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(BadName):
        parse_address(text, "nl")


def test_selectors() -> None:
    assert parse_selector("Selector1", "nl") == "selector1"
    assert parse_selector("a.b", "nl") == "a.b"
    with pytest.raises(BadName):
        parse_selector("a/b", "nl")


async def test_existence() -> None:
    with NameServer("mijnbakkerij.nl. 60 IN A 192.0.2.1") as server:
        circumstances = Circumstances(nameserver=server.pair, timeout_seconds=0.3)
        assert await existence("mijnbakkerij.nl", circumstances) is None
        gone = await existence("weg.nl", circumstances)
        server.faults["*"] = Fault("servfail")
        unknown = await existence("mijnbakkerij.nl", circumstances)
    assert gone is not None
    assert (gone.id, gone.severity.value) == ("not-found", "error")
    assert unknown is not None
    assert (unknown.id, unknown.severity.value) == ("dns-failed", "unknown")
