"""Which addresses MAIL and RCPT take, row by row, as a mail administrator would check them."""

from __future__ import annotations

import pytest

from relay.intake.path import MailCommand, RcptCommand, Refusal, parse_mail, parse_rcpt

LABEL_63 = "a" * 63
LOCAL_64 = "l" * 64
DOMAIN_189 = ".".join([LABEL_63] * 3)[:189].rstrip(".")
REFUSED = {"sender": "501 5.1.7", "recipient": "501 5.1.3"}

# what stands after TO: and FROM:, and the address that the relay goes on with
ACCEPTED = [
    ("<jan@mijnbakkerij.nl>", "jan@mijnbakkerij.nl"),
    ("<Jan.De.Boer@MijnBakkerij.NL>", "Jan.De.Boer@MijnBakkerij.NL"),
    ("<root@localhost>", "root@localhost"),
    ("<jan+facturen@voorbeeld.nl>", "jan+facturen@voorbeeld.nl"),
    ("<o'brien@voorbeeld.nl>", "o'brien@voorbeeld.nl"),
    ("<!#$%&'*+-/=?^_`{|}~@voorbeeld.nl>", "!#$%&'*+-/=?^_`{|}~@voorbeeld.nl"),
    ("<1234@4711.nl>", "1234@4711.nl"),
    ("<a@xn--bckerei-5wa.nl>", "a@xn--bckerei-5wa.nl"),
    ("<a@b-c.nl>", "a@b-c.nl"),
    ("<a@1.2.3.4>", "a@1.2.3.4"),
    ('<"jan de boer"@voorbeeld.nl>', '"jan de boer"@voorbeeld.nl'),
    ('<"jan@huis"@voorbeeld.nl>', '"jan@huis"@voorbeeld.nl'),
    (r'<"a\"b"@voorbeeld.nl>', r'"a\"b"@voorbeeld.nl'),
    (r'<"a\\"@voorbeeld.nl>', r'"a\\"@voorbeeld.nl'),
    ('<"a>b"@voorbeeld.nl>', '"a>b"@voorbeeld.nl'),
    ('<""@voorbeeld.nl>', '""@voorbeeld.nl'),
    ('<".."@voorbeeld.nl>', '".."@voorbeeld.nl'),
    ("<a@[192.168.1.40]>", "a@[192.168.1.40]"),
    ("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
    ("<a@[ipv6:::ffff:10.0.0.1]>", "a@[ipv6:::ffff:10.0.0.1]"),
    ("<@hop.nl:jan@voorbeeld.nl>", "jan@voorbeeld.nl"),
    ("<@een.nl,@twee.nl:jan@voorbeeld.nl>", "jan@voorbeeld.nl"),
    ("<jan%elders.nl@voorbeeld.nl>", "jan%elders.nl@voorbeeld.nl"),
    ("<elders!jan@voorbeeld.nl>", "elders!jan@voorbeeld.nl"),
    ("<=?utf-8?q?evil=2Ecom?=@voorbeeld.nl>", "=?utf-8?q?evil=2Ecom?=@voorbeeld.nl"),
    (
        "<=?utf-8?b?YQ0KUkNQVCBUTzo8eEB5Lno+?=@b.c>",
        "=?utf-8?b?YQ0KUkNQVCBUTzo8eEB5Lno+?=@b.c",
    ),
    (f"<{LOCAL_64}@voorbeeld.nl>", f"{LOCAL_64}@voorbeeld.nl"),
    (f"<a@{LABEL_63}.nl>", f"a@{LABEL_63}.nl"),
    (f"<{LOCAL_64}@{DOMAIN_189}>", f"{LOCAL_64}@{DOMAIN_189}"),
]
# as above, but only old programs' way of writing; refused without `lenient`
LENIENT = [
    (" <jan@voorbeeld.nl>", "jan@voorbeeld.nl"),
    ("jan@voorbeeld.nl", "jan@voorbeeld.nl"),
    ("   jan@voorbeeld.nl", "jan@voorbeeld.nl"),
    ('"jan de boer"@voorbeeld.nl', '"jan de boer"@voorbeeld.nl'),
    ("< jan@voorbeeld.nl >", "jan@voorbeeld.nl"),
    ("@hop.nl:jan@voorbeeld.nl", "jan@voorbeeld.nl"),
    ("<scan@KASSA_PC>", "scan@KASSA_PC"),
    ("<scan@_kassa.local>", "scan@_kassa.local"),
]
MALFORMED = [
    "",
    "<",
    ">",
    "<jan@voorbeeld.nl",
    "jan@voorbeeld.nl>",
    "<<jan@voorbeeld.nl>>",
    "<jan@voorbeeld.nl>>",
    "<jan>",
    "jan",
    "<@voorbeeld.nl>",
    "<jan@>",
    "<jan@@voorbeeld.nl>",
    "<jan@huis@voorbeeld.nl>",
    "<.jan@voorbeeld.nl>",
    "<jan.@voorbeeld.nl>",
    "<jan..boer@voorbeeld.nl>",
    "<jan boer@voorbeeld.nl>",
    "<jan,piet@voorbeeld.nl>",
    "<jan@voorbeeld.nl, piet@voorbeeld.nl>",
    "<jan@voorbeeld.nl>,<piet@voorbeeld.nl>",
    "<jan@voorbeeld.nl>SIZE=100",
    '"Jan" <jan@voorbeeld.nl>',
    "Jan <jan@voorbeeld.nl>",
    "<jan@voorbeeld.nl> (Jan)",
    "<(Jan)jan@voorbeeld.nl>",
    "<jan@.nl>",
    "<jan@voorbeeld..nl>",
    "<jan@voorbeeld.nl.>",
    "<jan@-voorbeeld.nl>",
    "<jan@voorbeeld-.nl>",
    "<jan@voor beeld.nl>",
    "<a@=?utf-8?q?evil.com?=>",
    "<jan@[1.2.3]>",
    "<jan@[1.2.3.4>",
    "<jan@1.2.3.4]>",
    "<jan@[300.2.3.4]>",
    "<jan@[01.2.3.4]>",
    "<jan@[2001:db8::1]>",
    "<jan@[IPv6:fe80::1%eth0]>",
    "<jan@[IPv6:zz]>",
    "<jan@[tag:iets]>",
    '<"jan@voorbeeld.nl>',
    '<"jan"boer@voorbeeld.nl>',
    '<jan"boer"@voorbeeld.nl>',
    r"<jan\@huis@voorbeeld.nl>",
    "<@hop.nl:>",
    "<@hop.nl>",
    "<@hop.nl,jan@voorbeeld.nl>",
    "<@:jan@voorbeeld.nl>",
    "<@hop.nl,twee.nl:jan@voorbeeld.nl>",
    "<@ho p.nl:jan@voorbeeld.nl>",
    "<mailto:jan@voorbeeld.nl>",
    "<jan@voorbeeld.nl\r>",
    "<jan@voorbeeld.nl>\r\nRCPT TO:<x@y.nl>",
    "<jan\n@voorbeeld.nl>",
    "<jan\x00@voorbeeld.nl>",
    "<jan\x7f@voorbeeld.nl>",
    "<jan\x1b[31m@voorbeeld.nl>",
    "<jan\t@voorbeeld.nl>",
    '<"jan\x00"@voorbeeld.nl>',
    f"<{LOCAL_64}x@voorbeeld.nl>",
    f"<a@{LABEL_63}a.nl>",
    f"<{LOCAL_64}@{DOMAIN_189}.nl>",
    f"<@{DOMAIN_189}:{LOCAL_64}@voorbeeld.nl>",
]


def code(answer: object) -> str:
    return f"{answer.code} {answer.enhanced}" if isinstance(answer, Refusal) else "250"


@pytest.mark.parametrize(("written", "address"), ACCEPTED + LENIENT)
def test_address_is_taken_as_it_stands(written: str, address: str) -> None:
    rcpt = parse_rcpt(b" TO:" + written.encode(), smtputf8_allowed=False, lenient=True)
    mail = parse_mail(b" FROM:" + written.encode(), smtputf8_allowed=False, lenient=True)
    assert rcpt == RcptCommand(address)
    assert mail == MailCommand(address)


@pytest.mark.parametrize(("written", "address"), ACCEPTED)
def test_strict_takes_the_grammar(written: str, address: str) -> None:
    rcpt = parse_rcpt(b" TO:" + written.encode(), smtputf8_allowed=False, lenient=False)
    assert rcpt == RcptCommand(address)


@pytest.mark.parametrize(("written", "address"), LENIENT)
def test_strict_refuses_what_only_patience_takes(written: str, address: str) -> None:
    answer = parse_mail(b" FROM:" + written.encode(), smtputf8_allowed=False, lenient=False)
    assert code(answer) == REFUSED["sender"]


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("written", MALFORMED)
def test_malformed_address_is_refused(written: str, lenient: bool) -> None:
    for utf8 in (True, False):
        suffix = b" SMTPUTF8" if utf8 and written else b""
        mail = parse_mail(
            b" FROM:" + written.encode() + suffix, smtputf8_allowed=utf8, lenient=lenient
        )
        rcpt = parse_rcpt(b" TO:" + written.encode(), smtputf8_allowed=utf8, lenient=lenient)
        # A comment after the path stands where parameters do.
        comment = written.endswith("> (Jan)")
        assert code(mail) == ("501 5.5.4" if comment else REFUSED["sender"])
        assert code(rcpt) == ("501 5.5.4" if comment else REFUSED["recipient"])


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        (b" FROM:<jan@voorbeeld.nl>", "250"),
        (b"FROM:<jan@voorbeeld.nl>", "250"),
        (b" from:<jan@voorbeeld.nl>", "250"),
        (b" From : <jan@voorbeeld.nl>", "250"),
        (b" FROM:<jan@voorbeeld.nl>  ", "250"),
        (b" FROM:<>", "250"),
        (b"", "501 5.1.7"),
        (b" FROM", "501 5.1.7"),
        (b" FROM <jan@voorbeeld.nl>", "501 5.1.7"),
        (b" TO:<jan@voorbeeld.nl>", "501 5.1.7"),
        (b" <jan@voorbeeld.nl>", "501 5.1.7"),
        (b" FROM:<Postmaster>", "501 5.1.7"),
        (b" FROM:<j\xe9@voorbeeld.nl>", "501 5.1.7"),
    ],
)
def test_mail_keyword(argument: bytes, reply: str) -> None:
    assert code(parse_mail(argument, smtputf8_allowed=True, lenient=True)) == reply


def test_null_reverse_path_is_none() -> None:
    assert parse_mail(b" FROM:<>", smtputf8_allowed=False, lenient=False) == MailCommand(None)


@pytest.mark.parametrize("written", [b"<>", b"< >", b"<@hop.nl:>"])
def test_nobody_is_no_recipient(written: bytes) -> None:
    answer = parse_rcpt(b" TO:" + written, smtputf8_allowed=False, lenient=True)
    assert code(answer) == REFUSED["recipient"]


@pytest.mark.parametrize("written", ["postmaster", "Postmaster", "POSTMASTER"])
def test_postmaster_needs_no_domain(written: str) -> None:
    argument = f" TO:<{written}>".encode()
    answer = parse_rcpt(argument, smtputf8_allowed=False, lenient=False)
    assert answer == RcptCommand(written)


@pytest.mark.parametrize(
    ("address", "offered", "declared", "reply"),
    [
        ("josé@voorbeeld.nl", True, True, "250"),
        ("jan@bäckerei.nl", True, True, "250"),
        ("用户@例子.公司", True, True, "250"),
        ('"josé x"@voorbeeld.nl', True, True, "250"),
        ("josé@voorbeeld.nl", True, False, "553 5.6.7"),
        ("josé@voorbeeld.nl", False, False, "553 5.6.7"),
        ("jan@voorbeeld.nl", False, True, "555 5.5.4"),
        ("josé@voorbeeld.nl", False, True, "555 5.5.4"),
        ("jos\x85e@voorbeeld.nl", True, True, "501 5.1.7"),
        ("jos\u202eé@voorbeeld.nl", True, True, "501 5.1.7"),
        ("jos\u2028é@voorbeeld.nl", True, True, "501 5.1.7"),
        ("jan@b\u3002nl", True, True, "501 5.1.7"),
        ("jan@-bäckerei.nl", True, True, "501 5.1.7"),
        ("é" * 33 + "@voorbeeld.nl", True, True, "501 5.1.7"),
    ],
)
def test_utf8_sender(address: str, offered: bool, declared: bool, reply: str) -> None:
    argument = f" FROM:<{address}>".encode() + (b" SMTPUTF8" if declared else b"")
    answer = parse_mail(argument, smtputf8_allowed=offered, lenient=False)
    assert code(answer) == reply
    if isinstance(answer, MailCommand):
        assert answer == MailCommand(address, smtputf8=True)


@pytest.mark.parametrize(("declared", "reply"), [(True, "250"), (False, "553 5.6.7")])
def test_utf8_recipient(declared: bool, reply: str) -> None:
    argument = " TO:<josé@voorbeeld.nl>".encode()
    assert code(parse_rcpt(argument, smtputf8_allowed=declared, lenient=True)) == reply
