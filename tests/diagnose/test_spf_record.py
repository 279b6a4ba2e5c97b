"""Records and macro strings: what the grammar takes, and where it says a fault lies."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnose.spf.macro import MacroError, Values, parse_domain_spec, parse_macro_string
from diagnose.spf.record import is_spf, parse
from diagnose.spf.term import Fault, Kind, Mechanism, Modifier, Qualifier, RecordError

VALUES = Values(
    ip=ip_address("192.0.2.3"),
    domain="email.example.com",
    local_part="strong-bad",
    sender_domain="email.example.com",
    helo="mail.example.org",
    time_seconds=1_700_000_000,
)
VALUES6 = Values(ip_address("2001:db8::cb01"), "example.com", "a", "example.com", "h.example")


def test_the_terms_of_a_record() -> None:
    record = parse("v=spf1 a mx:Shop.nl/28//64 -ip4:192.0.2.9/24 exp=x.%{d} redirect=y.nl ?all")
    a, mx, ip4, exp, redirect, all_ = record.terms
    assert isinstance(a, Mechanism)
    assert a.domain is None
    assert isinstance(mx, Mechanism)
    assert (mx.kind, mx.argument, mx.prefix4, mx.prefix6) == (Kind.MX, "Shop.nl", 28, 64)
    assert isinstance(ip4, Mechanism)
    assert (ip4.qualifier, ip4.network) == (Qualifier.FAIL, ip_network("192.0.2.0/24"))
    assert isinstance(exp, Modifier)
    assert record.explanation is exp
    assert record.redirect is redirect
    assert record.all is all_
    assert all_.position == 70


@pytest.mark.parametrize(
    ("text", "fault", "position"),
    [
        ("v=spf10 -all", Fault.VERSION, 0),
        ("", Fault.VERSION, 0),
        ("v=spf1 ipv4:192.0.2.1 -all", Fault.UNKNOWN_TERM, 7),
        ("v=spf1 ip4:192.0.2.256", Fault.ADDRESS, 11),
        ("v=spf1 ip4:192.0.2.1/33", Fault.LENGTH, 21),
        ("v=spf1 ip4:192.0.2.1/", Fault.LENGTH, 20),
        ("v=spf1 ip6:fe80::1%eth0", Fault.ADDRESS, 11),
        ("v=spf1 ip6:2001:db8::/0x10", Fault.LENGTH, 21),
        ("v=spf1 ip4: -all", Fault.ARGUMENT_MISSING, 11),
        ("v=spf1 include -all", Fault.ARGUMENT_MISSING, 14),
        ("v=spf1 include:localhost", Fault.DOMAIN, 24),
        ("v=spf1 -all:x", Fault.ARGUMENT_EXTRA, 11),
        ("v=spf1 mx/033", Fault.LENGTH, 10),
        ("v=spf1 exists:%{z}.nl", Fault.MACRO, 14),
        ("v=spf1 exists:%{i0}.nl", Fault.MACRO, 14),
        ("v=spf1 x=%", Fault.MACRO, 9),
        ("v=spf1 a:b.nl\t-all", Fault.CHARACTER, 13),
        ("v=spf1 a:bé.nl", Fault.CHARACTER, 10),
        ("v=spf1 redirect=a.nl redirect=b.nl", Fault.TWICE, 21),
        ("v=spf1 EXP=a.nl exp=b.nl", Fault.TWICE, 16),
        ("v=spf1 -all,", Fault.UNKNOWN_TERM, 11),
        ("v=spf1 redirect=mijnbakkerij", Fault.DOMAIN, 28),
    ],
)
def test_a_fault_and_its_place(text: str, fault: Fault, position: int) -> None:
    with pytest.raises(RecordError) as caught:
        parse(text)
    assert (caught.value.fault, caught.value.position) == (fault, position)


def test_only_the_version_makes_a_text_an_spf_record() -> None:
    assert is_spf("V=SPF1")
    assert is_spf("v=spf1  all")
    assert not is_spf("v=spf1\tall")
    assert not is_spf("v=spf2.0/pra all")


DOMAINS = st.sampled_from(["a.nl", "%{d}", "%{i1r-}.x.nl", "foo:bar/baz.example.com", "%%.nl."])
LENGTHS = st.sampled_from(["", "/24", "//64", "/0//0", "/32//128"])
NETWORKS = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: f"ip4:{ip}/19"),
    st.ip_addresses(v=6).map(lambda ip: f"ip6:{ip}/33"),
)
HOSTS = st.builds("{}{}{}".format, st.sampled_from(["a", "MX"]), st.just(""), LENGTHS)
TARGETS = st.builds("{}:{}".format, st.sampled_from(["include", "exists", "ptr", "a"]), DOMAINS)
MECHANISMS = st.builds(
    "{}{}".format,
    st.sampled_from(["", "+", "-", "~", "?"]),
    st.one_of(NETWORKS, HOSTS, TARGETS, st.just("all")),
)
MODIFIERS = st.builds("x{}={}".format, st.integers(0, 9), DOMAINS)


@given(st.lists(st.one_of(MECHANISMS, MODIFIERS)), st.integers(1, 3))
def test_what_is_printed_is_read_back(terms: list[str], spaces: int) -> None:
    text = (" " * spaces).join(["v=spf1", *terms])
    record = parse(text)
    assert [term.text for term in record.terms] == terms
    again = parse(str(record))
    assert str(again) == str(record)
    assert len(again.terms) == len(terms)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_record_or_a_record_error(text: str) -> None:
    _parse_or_refuse("v=spf1 " + text)


@given(st.text(alphabet="aimxptr:/.0129 =%{}dhlr-+_", max_size=40))
def test_near_records_too(text: str) -> None:
    _parse_or_refuse("v=spf1 " + text)


def _parse_or_refuse(text: str) -> None:
    refused: RecordError | None = None
    try:
        parse(text)
    except RecordError as error:
        refused = error
    assert refused is None or 0 <= refused.position <= len(text)
    assert refused is None or refused.term in text


@pytest.mark.parametrize(
    ("macro", "expansion"),
    [  # RFC 7208 section 7.4
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{d99999999999999999999}", "email.example.com"),
        ("%{p}", "unknown"),
    ],
)
def test_expansion(macro: str, expansion: str) -> None:
    assert parse_macro_string(macro).expand(VALUES) == expansion


def test_an_ipv6_address_expands_to_nibbles() -> None:
    name = parse_domain_spec("%{ir}.%{v}._spf.%{d2}").expand_name(VALUES6)
    assert name.startswith("1.0.B.C.0.0.0.0.")
    assert name.endswith(".8.B.D.0.1.0.0.2.ip6._spf.example.com")


def test_three_letters_belong_to_explanations_only() -> None:
    text = parse_macro_string("%{c} op %{t} bij %{r}", explanation=True)
    assert text.expand(VALUES) == "192.0.2.3 op 1700000000 bij unknown"
    with pytest.raises(MacroError):
        parse_macro_string("%{c}")


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_macro_string_expands_or_is_refused(text: str, local_part: str) -> None:
    values = Values(ip_address("192.0.2.3"), "a.nl", local_part, "a.nl", "h.nl")
    try:
        parsed = parse_macro_string(text, explanation=True)
    except MacroError:
        return
    assert isinstance(parsed.expand(values), str)
