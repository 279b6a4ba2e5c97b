"""check_host beyond the suite: what it tells, what it counts, and that it always ends."""

import dns.resolver
import pytest
from fakes.spf_zone import TIMEOUT, Value, Zone, txt

import diagnose.spf
from diagnose.resolver import Overlay, Remembering
from diagnose.spf.outcome import Cause, Evaluation

Records = dict[str, list[tuple[str, Value]]]


async def check(records: Records, ip: str = "192.0.2.1", **refused: list[str]) -> Evaluation:
    zone = Zone(records, **refused)
    return await diagnose.spf.check_host(ip, "bakker.nl", resolver=zone)


async def test_the_matching_term_is_that_of_the_record_that_decided() -> None:
    found = await check(
        {
            "bakker.nl": txt("v=spf1 mx include:_spf.isp.nl -all"),
            "_spf.isp.nl": txt("v=spf1 ip4:192.0.2.0/24 ~all"),
        }
    )
    assert (found.result, found.term, found.holder) == ("pass", "include:_spf.isp.nl", "bakker.nl")
    assert (found.lookups.dns, found.lookups.void) == (2, 1)
    lines = [str(step) for step in found.trace]
    assert "bakker.nl: mx -> no-match (bakker.nl: -)" in lines
    assert "  _spf.isp.nl: ip4:192.0.2.0/24 -> match (192.0.2.1)" in lines


async def test_after_a_redirect_the_term_is_the_target_s() -> None:
    found = await check(
        {"bakker.nl": txt("v=spf1 redirect=_spf.isp.nl"), "_spf.isp.nl": txt("v=spf1 -all")}
    )
    assert (found.result, found.term, found.holder) == ("fail", "-all", "_spf.isp.nl")


async def test_no_match_is_neutral_without_a_term() -> None:
    found = await check({"bakker.nl": txt("v=spf1 ip4:198.51.100.1")})
    assert (found.result, found.term, found.holder) == ("neutral", None, None)


@pytest.mark.parametrize(
    ("records", "cause", "term"),
    [
        ({"bakker.nl": txt("v=spf1 ip4:x -all")}, Cause.SYNTAX, "ip4:x"),
        ({"bakker.nl": txt("v=spf1 -all", "v=spf1 ~all")}, Cause.SEVERAL_RECORDS, None),
        ({"bakker.nl": txt("v=spf1 include:weg.nl ~all")}, Cause.NO_RECORD, "include:weg.nl"),
        ({"bakker.nl": txt("v=spf1 redirect=bakker.nl")}, Cause.TOO_MANY_LOOKUPS, None),
        ({"bakker.nl": txt("v=spf1 a:x.nl a:y.nl mx:z.nl")}, Cause.TOO_MANY_VOID, "mx:z.nl"),
    ],
)
async def test_a_permanent_error_names_its_cause(
    records: Records, cause: Cause, term: str | None
) -> None:
    found = await check(records)
    assert found.result == "permerror"
    assert found.problem is not None
    assert found.problem.cause is cause
    assert term in (None, found.problem.term)
    assert found.term is None
    assert found.trace[-1].outcome == cause


async def test_dns_failures_are_temporary() -> None:
    late = await check({"bakker.nl": [("TXT", TIMEOUT)]})
    refused = await check({}, refused=["bakker.nl"])
    inside = await check({"bakker.nl": txt("v=spf1 a:x.nl ~all")}, refused=["x.nl"])
    assert [each.result for each in (late, refused, inside)] == ["temperror"] * 3
    assert late.problem is not None
    assert late.problem.detail == "TXT bakker.nl: Timeout"
    assert inside.problem is not None
    assert inside.problem.term == "a:x.nl"


async def test_an_error_behind_the_match_of_a_record_still_counts() -> None:
    found = await check({"bakker.nl": txt("v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all")})
    assert found.result == "permerror"


async def test_void_lookups_count_once_a_term() -> None:
    """An IPv6 client and MX hosts with IPv4 only must not be three void lookups."""
    hosts: list[tuple[str, Value]] = [("MX", f"{n} mx{n}.nl") for n in range(1, 6)]
    records: Records = {"bakker.nl": [*txt("v=spf1 mx -all"), *hosts]}
    records |= {f"mx{n}.nl": [("A", "192.0.2.9")] for n in range(1, 6)}
    found = await check(records, "2001:db8::1")
    assert (found.result, found.lookups.void) == ("fail", 1)


async def test_a_name_of_ten_thousand_octets_or_a_long_label_is_never_asked_for() -> None:
    long_label = "x" * 64 + ".nl"
    zone = Zone({"bakker.nl": txt(f"v=spf1 a:{long_label} exists:%{{l}}.{'a.' * 200}nl -all")})
    found = await diagnose.spf.check_host(
        "192.0.2.1", "bakker.nl", sender="y" * 10_000 + "@bakker.nl", resolver=zone
    )
    assert found.result == "fail"
    assert all(len(name) <= 253 for name, _ in zone.asked)
    assert long_label not in {name for name, _ in zone.asked}


async def test_only_ten_names_of_an_address_are_looked_at() -> None:
    names: list[tuple[str, Value]] = [("PTR", f"p{n}.bakker.nl") for n in range(10)]
    records: Records = {
        "bakker.nl": [*txt("v=spf1 ptr -all"), ("A", "192.0.2.1")],
        "1.2.0.192.in-addr.arpa": [*names, ("PTR", "bakker.nl")],
    }
    assert (await check(records)).result == "fail"
    records["1.2.0.192.in-addr.arpa"] = [*names[1:], ("PTR", "bakker.nl")]
    assert (await check(records)).result == "pass"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["x.nl", "a.bakker.nl", "bakker.nl"], "bakker.nl"),
        (["x.nl", "a.bakker.nl"], "a.bakker.nl"),
        (["x.nl", "loog.nl"], "x.nl"),
        (["loog.nl"], "unknown"),
    ],
)
async def test_the_validated_name_is_the_domain_s_own_if_it_has_one(
    names: list[str], chosen: str
) -> None:
    records: Records = {
        "bakker.nl": [*txt("v=spf1 exists:%{p}.p.nl -all"), ("A", "192.0.2.1")],
        "x.nl": [("A", "192.0.2.1")],
        "a.bakker.nl": [("A", "192.0.2.1")],
        "loog.nl": [("A", "192.0.2.2")],
        "1.2.0.192.in-addr.arpa": [("PTR", name) for name in names],
        f"{chosen}.p.nl": [("A", "127.0.0.2")],
    }
    assert (await check(records)).result == "pass"


async def test_loops_and_wide_records_end() -> None:
    wide = " ".join(f"include:bakker.nl a:x{n}.nl" for n in range(500))
    zone = Zone({"bakker.nl": txt(f"v=spf1 {wide} -all")})
    found = await diagnose.spf.check_host("192.0.2.1", "bakker.nl", resolver=zone)
    assert found.result == "permerror"
    assert len(zone.asked) < 30


@pytest.mark.parametrize(
    "domain", ["bäckerei.example", "xn--bckerei-5wa.example.", "BÄCKEREI.example"]
)
async def test_an_international_domain_is_asked_for_by_its_ascii_name(domain: str) -> None:
    zone = Zone({"xn--bckerei-5wa.example": txt("v=spf1 -all")})
    found = await diagnose.spf.check_host("192.0.2.1", domain, resolver=zone)
    assert found.result == "fail"


@pytest.mark.parametrize(
    "domain",
    ["", ".", "localhost", "a..nl", "[192.0.2.1]", "192.0.2.1", "a" * 64 + ".nl", "é" * 90],
)
async def test_what_is_no_domain_has_no_record(domain: str) -> None:
    zone = Zone({})
    found = await diagnose.spf.check_host("192.0.2.1", domain, resolver=zone)
    assert found.result == "none"
    assert not zone.asked


async def test_strings_of_a_record_are_joined() -> None:
    found = await check({"bakker.nl": [("TXT", ["v=spf1 ip4:192.", "0.2.1 -all"])]})
    assert found.term == "ip4:192.0.2.1"


async def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="192\\.0\\.2"):
        await check({}, "192.0.2")


async def test_answers_and_failures_are_remembered() -> None:
    zone = Zone({"a.nl": txt("x")}, refused=["b.nl"])
    remembering = Remembering(zone)
    for _ in range(2):
        assert len(list(await remembering.resolve("A.nl.", "TXT"))) == 1
        with pytest.raises(dns.resolver.NoNameservers):
            await remembering.resolve("b.nl", "TXT")
        with pytest.raises(dns.resolver.NXDOMAIN):
            await remembering.resolve("c.nl", "A")
    assert zone.asked == [("A.nl.", "TXT"), ("b.nl", "TXT"), ("c.nl", "A")]


async def test_an_overlay_replaces_the_text_records_of_one_name() -> None:
    zone = Zone({"a.nl": [*txt("old"), ("A", "192.0.2.1")], "b.nl": txt("b")})
    overlay = Overlay(zone, "a.nl", ("v=spf1 ", "-all"))
    (record,) = await overlay.resolve("A.NL.", "TXT")
    assert record.strings == (b"v=spf1 ", b"-all")
    (address,) = await overlay.resolve("a.nl", "A")
    assert address.address == "192.0.2.1"
    (other,) = await overlay.resolve("b.nl", "TXT")
    assert other.strings == (b"b",)
