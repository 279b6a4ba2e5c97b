"""What holds for every line that a client can send after MAIL and RCPT."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.intake.path import MailCommand, RcptCommand, Refusal, parse_mail, parse_rcpt

ADDRESS_LIKE = st.text(
    st.sampled_from('ab.@<>"\\ :,;[]()%!=?+-_é\u3002\u202e\x85\x00\x7f\r\n\t1Iv6'), max_size=40
)
PARAMETER_LIKE = st.lists(
    st.sampled_from(
        [
            "SIZE=1",
            "SMTPUTF8",
            "ENVID=+41",
            "ORCPT=rfc822;+41",
            "NOTIFY=DELAY",
            "=",
            "é",
            "RET=FULL",
        ]
    ),
    max_size=4,
).map(" ".join)
ARGUMENTS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda keyword, path, parameters: f"{keyword}{path} {parameters}".encode(),
        st.sampled_from(["FROM:", "TO:", " FROM:<", " TO:<", " TO : "]),
        st.one_of(ADDRESS_LIKE, ADDRESS_LIKE.map(lambda text: text + "@b.nl>")),
        PARAMETER_LIKE,
    ),
)
SYNTAX_CODES = {"501 5.1.7", "501 5.1.3", "501 5.5.4", "553 5.6.7", "555 5.5.4"}


@given(ARGUMENTS, st.booleans(), st.booleans())
def test_mail_never_raises_and_prints_back(argument: bytes, utf8: bool, lenient: bool) -> None:
    answer = parse_mail(argument, smtputf8_allowed=utf8, lenient=lenient)
    if isinstance(answer, Refusal):
        assert f"{answer.code} {answer.enhanced}" in SYNTAX_CODES
        assert answer.detail.isascii()
        assert answer.detail.isprintable() or not answer.detail
        return
    address = answer.reverse_path or ""
    assert_harmless(address)
    printed = f"FROM:<{address}>" + " SMTPUTF8" * answer.smtputf8
    again = parse_mail(printed.encode(), smtputf8_allowed=utf8, lenient=lenient)
    assert again == MailCommand(answer.reverse_path, smtputf8=answer.smtputf8)


@given(ARGUMENTS, st.booleans(), st.booleans())
def test_rcpt_never_raises_and_prints_back(argument: bytes, utf8: bool, lenient: bool) -> None:
    answer = parse_rcpt(argument, smtputf8_allowed=utf8, lenient=lenient)
    if isinstance(answer, Refusal):
        assert f"{answer.code} {answer.enhanced}" in SYNTAX_CODES
        return
    assert_harmless(answer.address)
    printed = f"TO:<{answer.address}>".encode()
    again = parse_rcpt(printed, smtputf8_allowed=utf8, lenient=lenient)
    assert again == RcptCommand(answer.address)


LOCAL_PARTS = st.one_of(
    st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9!#$%]{1,20})?", fullmatch=True),
    st.from_regex(r'"([ !#-\[\]-~]|\\[ -~]){0,20}"', fullmatch=True),
)
DOMAINS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,6}){0,3}", fullmatch=True),
    st.ip_addresses(v=4).map(lambda ip: f"[{ip}]"),
    st.ip_addresses(v=6).map(lambda ip: f"[IPv6:{ip}]"),
)


@given(LOCAL_PARTS, DOMAINS, st.booleans())
def test_every_address_of_the_grammar_is_taken(local: str, domain: str, lenient: bool) -> None:
    argument = f" TO:<{local}@{domain}>".encode()
    answer = parse_rcpt(argument, smtputf8_allowed=False, lenient=lenient)
    assert answer == RcptCommand(f"{local}@{domain}")


def assert_harmless(address: str) -> None:
    assert address.isprintable() or not address
    assert len(address.encode()) <= 254
