"""mijnbakkerij.nl: who is covered, what to publish, and that the advice holds once published."""

import asyncio
from typing import Any

import pytest
from fakes.spf_zone import TIMEOUT, Value, Zone, txt

from diagnose.finding import Severity
from diagnose.spf.coverage import Senders
from diagnose.spf.examination import SpfExamination, examine_spf
from presets.catalog import UnknownPreset

DOMAIN = "mijnbakkerij.nl"
ORDERNOW = "84.246.4.155"
MICROSOFT = "spf.protection.outlook.com"

Records = dict[str, list[tuple[str, Value]]]

PROVIDERS: Records = {
    MICROSOFT: txt("v=spf1 ip4:40.92.0.0/15 ip4:52.100.0.0/14 ip6:2a01:111:f400::/48 -all"),
    "_spf.google.com": txt("v=spf1 include:_netblocks.google.com ~all"),
    "_netblocks.google.com": txt("v=spf1 ip4:35.190.247.0/24 ip4:64.233.160.0/19 ~all"),
    "_spf.transip.email": txt("v=spf1 ip4:149.210.149.0/24 ~all"),
}


async def examine(
    records: Records, *, record: str | None = None, senders: Senders | None = None
) -> SpfExamination:
    zone = Zone(PROVIDERS | records)
    senders = senders or Senders()
    return await examine_spf(DOMAIN, senders=senders, record=record, resolver=zone, language="en")


def ids(found: SpfExamination, severity: Severity | None = None) -> list[str]:
    return [each.id for each in found.findings if severity in (None, each.severity)]


def row(found: SpfExamination, source: str) -> dict[str, Any]:
    (one,) = (row for row in found.document_keys["coverage"] if row["source"] == source)
    assert isinstance(one, dict)
    return one


def published(found: SpfExamination) -> Records:
    """The zone after the owner has done as told."""
    suggestion = found.document_keys["suggestion"]
    assert suggestion["verified"] is True
    assert "".join(suggestion["strings"]) == suggestion["record"]
    return {DOMAIN: [("TXT", suggestion["strings"])]}


async def test_ordernow_before_and_after_the_advice() -> None:
    before = await examine({DOMAIN: txt(f"v=spf1 include:{MICROSOFT} -all", "other=text")})
    assert row(before, "ordernow") == {
        "source": "ordernow",
        "address": ORDERNOW,
        "result": "fail",
        "term": "-all",
        "networks": {"total": 1, "covered": 0},
    }
    assert ids(before, Severity.ERROR) == ["spf-not-covered"]
    assert before.document_keys["result"] == "fail"
    assert before.document_keys["lookups"] == {
        "dns": 1,
        "void": 0,
        "limit_dns": 10,
        "limit_void": 2,
    }
    assert before.document_keys["suggestion"] == {
        "record": f"v=spf1 include:{MICROSOFT} ip4:{ORDERNOW} -all",
        "strings": [f"v=spf1 include:{MICROSOFT} ip4:{ORDERNOW} -all"],
        "adds": [f"ip4:{ORDERNOW}"],
        "verified": True,
    }
    after = await examine(published(before))
    assert row(after, "ordernow")["term"] == f"ip4:{ORDERNOW}"
    assert ids(after) == ["spf-record-good", "spf-covered"]
    assert after.document_keys["suggestion"] is None
    assert after.document_keys["result"] == "pass"


async def test_three_senders_of_which_one_is_unknown() -> None:
    senders = Senders(vias=("microsoft365", "Ziggo"))
    found = await examine({DOMAIN: txt("v=spf1 a ~all")}, senders=senders)
    assert [each["source"] for each in found.document_keys["coverage"]] == [
        "ordernow",
        "microsoft365",
        "ziggo",
    ]
    microsoft = row(found, "microsoft365")
    assert (microsoft["result"], microsoft["address"]) == ("softfail", "40.92.0.0")
    assert microsoft["networks"] == {"total": 3, "covered": 0}
    assert row(found, "ziggo") == {
        "source": "ziggo",
        "address": None,
        "result": "unknown",
        "term": None,
        "networks": {"total": 0, "covered": 0},
    }
    (unknown,) = (each for each in found.findings if each.id == "spf-source-unknown")
    assert unknown.severity is Severity.UNKNOWN
    assert [each["confirmed"] for each in unknown.evidence["seen"]] == [False] * 3
    assert any("--ip" in step for step in unknown.remedy)
    suggestion = found.document_keys["suggestion"]
    assert suggestion["record"] == f"v=spf1 a ip4:{ORDERNOW} include:{MICROSOFT} ~all"
    assert "84.116." not in suggestion["record"]
    after = await examine(published(found), senders=senders)
    assert row(after, "microsoft365")["networks"] == {"total": 3, "covered": 3}
    assert row(after, "microsoft365")["term"] == f"include:{MICROSOFT}"
    assert "spf-not-covered" not in ids(after)
    assert "spf-source-unknown" in ids(after)


async def test_a_network_of_which_only_the_last_address_is_missing_is_not_covered() -> None:
    records = {DOMAIN: txt("v=spf1 ip4:149.210.149.0/25 -all")}
    senders = Senders(vias=("transip",), ordernow=False)
    found = await examine(records, senders=senders)
    assert row(found, "transip")["address"] == "149.210.149.255"
    assert row(found, "transip")["networks"] == {"total": 1, "covered": 0}
    assert "spf-not-confirmed" in ids(found, Severity.INFO)


async def test_addresses_and_smarthosts_are_sources_too() -> None:
    senders = Senders(
        ips=("192.0.2.7", "2001:DB8::7", "2001:db8:0::7", "::ffff:192.0.2.7"),
        smarthosts={"isp": "smtp.ziggo.nl", "m365": "microsoft365", "eigen": "mail.example.org"},
        ordernow=False,
    )
    found = await examine({DOMAIN: txt(f"v=spf1 include:{MICROSOFT} ?all")}, senders=senders)
    assert {each["source"]: each["result"] for each in found.document_keys["coverage"]} == {
        "smarthost:isp": "unknown",
        "smarthost:m365": "pass",
        "smarthost:eigen": "unknown",
        "ip:192.0.2.7": "neutral",
        "ip:2001:db8::7": "neutral",
    }
    adds = found.document_keys["suggestion"]["adds"]
    assert adds == ["ip4:192.0.2.7", "ip6:2001:db8::7"]
    assert len(found.document_keys["coverage"]) == 5
    assert found.document_keys["result"] == "neutral"  # the worst of them


async def test_a_domain_without_a_record_gets_a_soft_one() -> None:
    found = await examine({DOMAIN: [("A", "192.0.2.1")]}, senders=Senders(vias=("gmail",)))
    record = found.document_keys["suggestion"]["record"]
    assert record == f"v=spf1 ip4:{ORDERNOW} include:_spf.google.com ~all"
    assert found.document_keys["record"] is None
    assert found.document_keys["result"] == "none"
    assert {"spf-no-record", "spf-not-covered"} == set(ids(found, Severity.ERROR))
    assert "spf-other-senders" in ids(found, Severity.WARNING)


async def test_without_a_known_sender_there_is_nothing_to_suggest() -> None:
    senders = Senders(vias=("ziggo",), ordernow=False)
    found = await examine({DOMAIN: [("A", "192.0.2.1")]}, senders=senders)
    assert found.document_keys["suggestion"] is None


async def test_several_records_become_one() -> None:
    records = {DOMAIN: txt(f"v=spf1 mx include:{MICROSOFT} ~all", "v=spf1 +MX ip4:192.0.2.1 -all")}
    found = await examine(records)
    assert "spf-several-records" in ids(found, Severity.ERROR)
    record = found.document_keys["suggestion"]["record"]
    assert record == f"v=spf1 mx include:{MICROSOFT} ip4:192.0.2.1 ip4:{ORDERNOW} ~all"
    assert "spf-covered" in ids(await examine(published(found)))


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (
            "v=spf1 mx redirect=_spf.google.com",
            f"v=spf1 mx ip4:{ORDERNOW} redirect=_spf.google.com",
        ),
        ("v=spf1 mx", f"v=spf1 mx ip4:{ORDERNOW}"),
        ("V=SPF1  a   ?ALL exp=e.nl", f"v=spf1 a ip4:{ORDERNOW} ?ALL exp=e.nl"),
        ("v=spf1 -all mx", f"v=spf1 ip4:{ORDERNOW} -all mx"),
        ("v=spf1 x=all ip4:192.0.2.1 x=y", f"v=spf1 x=all ip4:192.0.2.1 ip4:{ORDERNOW} x=y"),
    ],
)
async def test_the_rest_of_the_owners_record_stays(record: str, wanted: str) -> None:
    found = await examine({DOMAIN: [*txt(record), ("MX", f"1 {DOMAIN}"), ("A", "192.0.2.1")]})
    assert found.document_keys["suggestion"]["record"] == wanted


async def test_what_does_not_fit_in_ten_lookups_is_said_and_not_suggested() -> None:
    full = " ".join(f"include:i{n}.nl" for n in range(10))
    records = {f"i{n}.nl": txt("v=spf1 ip4:198.51.100.9") for n in range(10)}
    senders = Senders(vias=("microsoft365",), ordernow=False)
    found = await examine(records | {DOMAIN: txt(f"v=spf1 {full} -all")}, senders=senders)
    assert found.document_keys["suggestion"] is None
    (no_room,) = (each for each in found.findings if each.id == "spf-no-room")
    assert no_room.evidence == {"lookups": 11, "limit": 10}
    # An address needs no lookup, so it still fits.
    fits = await examine(records | {DOMAIN: txt(f"v=spf1 {full} -all")})
    assert fits.document_keys["suggestion"]["adds"] == [f"ip4:{ORDERNOW}"]


async def test_a_long_record_is_published_in_strings_of_at_most_255_octets() -> None:
    many = " ".join(f"ip4:198.51.100.{n}" for n in range(40))
    found = await examine({DOMAIN: [("TXT", [f"v=spf1 {many[:200]}", f"{many[200:]} -all"])]})
    strings = found.document_keys["suggestion"]["strings"]
    assert len(strings) > 2
    assert all(len(string) <= 255 and string.isascii() for string in strings)
    assert "spf-covered" in ids(await examine(published(found)))


async def test_an_earlier_refusal_is_not_covered_up() -> None:
    found = await examine({DOMAIN: txt(f"v=spf1 -ip4:{ORDERNOW} ~all")})
    assert found.document_keys["suggestion"] is None
    assert "spf-refused-earlier" in ids(found, Severity.ERROR)


async def test_a_record_that_is_not_published_yet() -> None:
    records = {DOMAIN: txt("v=spf1 -all")}
    found = await examine(records, record=f"v=spf1 ip4:{ORDERNOW} -all")
    assert found.document_keys["record"] == f"v=spf1 ip4:{ORDERNOW} -all"
    assert row(found, "ordernow")["result"] == "pass"
    assert Severity.ERROR not in {each.severity for each in found.findings}


@pytest.mark.parametrize("records", [{DOMAIN: [("TXT", TIMEOUT)]}, {f"error.{DOMAIN}": txt("x")}])
async def test_a_name_server_that_fails_is_unknown_and_never_good(records: Records) -> None:
    zone = Zone(PROVIDERS | records, refused=[DOMAIN])
    found = await examine_spf(
        DOMAIN, senders=Senders(vias=("microsoft365",)), resolver=zone, language="nl"
    )
    assert {each.severity for each in found.findings} == {Severity.UNKNOWN}
    assert found.document_keys["result"] == "temperror"
    assert found.document_keys["suggestion"] is None


async def test_a_provider_whose_include_is_gone_is_unknown() -> None:
    zone = Zone({DOMAIN: txt("v=spf1 ~all")})
    senders = Senders(vias=("microsoft365",), ordernow=False)
    found = await examine_spf(DOMAIN, senders=senders, resolver=zone, language="en")
    assert row(found, "microsoft365")["result"] == "unknown"
    assert "spf-source-unresolved" in ids(found, Severity.UNKNOWN)


async def test_a_provider_that_needs_no_spf_and_one_beside_which_the_own_line_sends() -> None:
    senders = Senders(vias=("postmark", "m365-direct-send"), ordernow=False)
    records = {DOMAIN: txt(f"v=spf1 include:{MICROSOFT} -all")}
    found = await examine(records, senders=senders)
    assert row(found, "postmark")["result"] == "not-needed"
    assert "spf-own-address" in ids(found, Severity.UNKNOWN)
    with_ip = Senders(vias=("m365-direct-send",), ips=("192.0.2.7",), ordernow=False)
    assert "spf-own-address" not in ids(await examine(records, senders=with_ip))


async def test_a_sender_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(UnknownPreset):
        await examine({}, senders=Senders(vias=("zigo-nl-x",)))
    with pytest.raises(ValueError, match="bakker"):
        await examine({}, senders=Senders(ips=("bakker",)))


async def test_a_flood_of_networks_and_terms_can_be_interrupted() -> None:
    terms = " ".join(f"ip4:10.{n // 256}.{n % 256}.1" for n in range(3000))
    networks = " ".join(f"ip4:40.{n}.0.0/17" for n in range(250))
    zone = Zone({DOMAIN: txt(f"v=spf1 {terms} -all"), MICROSOFT: txt(f"v=spf1 {networks}")})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await examine_spf(
                DOMAIN, senders=Senders(vias=("microsoft365",)), resolver=zone, language="en"
            )
