"""What is said of a record, and that it is said in both languages."""

import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fakes.spf_zone import Value, Zone, txt

import diagnose
from diagnose.finding import Finding, Severity
from diagnose.spf.coverage import Senders
from diagnose.spf.examination import examine_spf
from diagnose.spf.networks import MOST_NETWORKS, networks_of
from diagnose.spf.term import Fault

TEXTS = tomllib.loads((Path(diagnose.__file__).parent / "texts" / "spf.toml").read_text("utf-8"))

Records = dict[str, list[tuple[str, Value]]]


async def findings(
    record: str, extra: Records | None = None, domain: str = "bakker.nl"
) -> list[Finding]:
    zone = Zone({"bakker.nl": txt(record), **(extra or {})})
    senders = Senders(ordernow=False)
    found = await examine_spf(domain, senders=senders, resolver=zone, language="nl")
    return list(found.findings)


INCLUDED = {"isp.nl": txt("v=spf1 ip4:192.0.2.1 -all"), "twee.nl": txt("v=spf1 a", "v=spf1 mx")}
ELEVEN = "v=spf1 " + "include:isp.nl " * 11 + "-all"
EXISTS: Records = {"isp.nl": [("A", "127.0.0.2")]}
MANY_MX: Records = {
    "isp.nl": [("MX", f"{n} mx{n}.nl") for n in range(11)],
}


@pytest.mark.parametrize(
    ("record", "extra", "id_", "severity"),
    [
        ("v=spf1 include:isp.nl ~all", INCLUDED, "spf-record-good", Severity.OK),
        ("v=spf1 ip4:1.2.3 -all", {}, "spf-syntax", Severity.ERROR),
        ("v=spf1 include:twee.nl -all", INCLUDED, "spf-include-several-records", Severity.ERROR),
        ("v=spf1 include:weg.nl -all", {}, "spf-include-missing", Severity.ERROR),
        (ELEVEN, INCLUDED, "spf-too-many-lookups", Severity.ERROR),
        ("v=spf1 a:x.nl a:y.nl a:z.nl -all", {}, "spf-too-many-void", Severity.ERROR),
        ("v=spf1 mx:isp.nl -all", MANY_MX, "spf-too-many-mx", Severity.ERROR),
        ("v=spf1 +all", {}, "spf-plus-all", Severity.ERROR),
        ("v=spf1 ip4:0.0.0.0/0 -all", {}, "spf-plus-all", Severity.ERROR),
        ("v=spf1 ptr -all", {}, "spf-ptr", Severity.WARNING),
        ("v=spf1 ip4:192.0.2.1", {}, "spf-no-all", Severity.WARNING),
        ("v=spf1 ~all ip4:192.0.2.1", {}, "spf-after-all", Severity.WARNING),
        ("v=spf1 redirect=isp.nl ~all", INCLUDED, "spf-after-all", Severity.WARNING),
        ("v=spf1 a:SMTP.ziggo.nl. -all", {}, "spf-legacy-address", Severity.WARNING),
        ("v=spf1 ip4:213.75.63.13/32 -all", {}, "spf-legacy-address", Severity.WARNING),
        ("v=spf1 " + "ip4:192.0.2.1 " * 40 + "-all", {}, "spf-long-record", Severity.WARNING),
        ("v=spf1 exists:isp.nl -all", EXISTS, "spf-plus-all", Severity.ERROR),
    ],
)
async def test_each_fault_of_a_record(
    record: str, extra: Records, id_: str, severity: Severity
) -> None:
    found = await findings(record, extra)
    assert [each.severity for each in found if each.id == id_] == [severity]
    assert severity is Severity.OK or all(each.remedy for each in found if each.id == id_)


async def test_a_good_record_has_no_other_finding() -> None:
    (only,) = await findings("v=spf1 mx include:isp.nl -all", INCLUDED | {"mx": []})
    assert only.id == "spf-record-good"
    assert only.evidence["dns"] == 2


async def test_the_lookups_beyond_the_limit_are_counted() -> None:
    (only,) = await findings(ELEVEN, INCLUDED)
    assert (only.evidence["dns"], only.evidence["limit_dns"]) == (11, 10)


async def test_a_syntax_error_says_where_and_why() -> None:
    (only,) = await findings("v=spf1 mx ipv4:84.246.4.155 -all")
    assert "ipv4:84.246.4.155" in only.title
    assert "Teken 11" in only.detail
    assert "onbekend woord" in only.detail


async def test_ipv6_mail_and_hosts_with_ipv4_only() -> None:
    hosts: Records = {f"{name}.nl": [("A", "192.0.2.9")] for name in "xyz"}
    found = await findings("v=spf1 a:x.nl a:y.nl a:z.nl -all", hosts)
    assert [each.id for each in found] == ["spf-too-many-void-ipv6"]


async def test_ordernow_and_networks_of_today_are_no_legacy() -> None:
    found = await findings("v=spf1 ip4:84.246.4.155 ip4:213.75.63.0/24 -all")
    assert [each.id for each in found] == ["spf-record-good"]


async def test_a_merged_provider_s_server_leads_to_its_successor() -> None:
    found = await findings("v=spf1 ip4:213.46.255.2 -all")
    (legacy,) = (each for each in found if each.id == "spf-legacy-address")
    assert legacy.evidence["preset"] == "ziggo"
    assert legacy.evidence["date"] == "2015-11-18"


@pytest.mark.parametrize(
    ("domain", "id_"),
    [("weg.nl", "spf-no-domain"), ("info@bakker.nl", "spf-not-a-domain"), ("", "spf-not-a-domain")],
)
async def test_a_domain_that_is_not_there(domain: str, id_: str) -> None:
    (only,) = await findings("v=spf1 -all", domain=domain)
    assert (only.id, only.severity) == (id_, Severity.ERROR)


async def test_what_a_record_holds_cannot_reach_the_terminal() -> None:
    (only,) = await findings("v=spf1 \x1b[31mred -all")
    assert "\x1b" not in only.title + only.detail + "".join(only.remedy)


async def test_the_networks_of_a_record() -> None:
    record = "v=spf1 include:a.nl ?include:b.nl mx/24 exists:%{i}.x.nl -all ip4:9.9.9.9"
    zone = Zone(
        {
            "isp.nl": [*txt(record), ("MX", "1 mx.nl")],
            "a.nl": txt("v=spf1 ip4:192.0.2.0/24 include:isp.nl redirect=%{d}.nl"),
            "b.nl": txt("v=spf1 ip4:198.51.100.0/24 -all"),
            "mx.nl": [("A", "203.0.113.9"), ("AAAA", "2001:db8::9")],
        }
    )
    found = await networks_of("isp.nl", zone)
    assert [str(network) for network in found.networks] == [
        "192.0.2.0/24",
        "203.0.113.0/24",
        "2001:db8::9/128",
    ]
    assert found.gaps == ("redirect=%{d}.nl (a.nl)", "exists:%{i}.x.nl (isp.nl)")
    assert not found.failed


async def test_an_endless_chain_of_includes_and_a_flood_of_networks_end() -> None:
    chain: Records = {f"i{n}.nl": txt(f"v=spf1 include:i{n + 1}.nl") for n in range(200)}
    zone = Zone(chain)
    assert (await networks_of("i0.nl", zone)).gaps
    assert len(zone.asked) == 50
    many = " ".join(f"ip4:10.{n // 256}.{n % 256}.0/24" for n in range(2 * MOST_NETWORKS))
    flood = Zone({"f.nl": txt(f"v=spf1 {many}")})
    found = await networks_of("f.nl", flood)
    assert len(found.networks) == MOST_NETWORKS
    assert found.gaps


def placeholders(value: Any) -> set[str]:
    lines = [value] if isinstance(value, str) else value
    return {name for line in lines for _, name, _, _ in string.Formatter().parse(line) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same(key: str) -> None:
    entry = TEXTS[key]
    parts = [entry] if key.startswith("fault-") else [entry["title"], *_optional(entry)]
    for part in parts:
        assert part.keys() == {"nl", "en"}
        assert placeholders(part["nl"]) == placeholders(part["en"])
        assert isinstance(part["nl"], str) or len(part["nl"]) == len(part["en"])


def _optional(entry: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry[name] for name in ("detail", "remedy") if name in entry]


def test_every_fault_has_a_text() -> None:
    assert {f"fault-{fault}" for fault in Fault} == {key for key in TEXTS if "fault-" in key}
