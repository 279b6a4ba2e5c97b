"""The parameters of MAIL and RCPT (RFC 1870, 3461, 4954, 6152, 6531)."""

from __future__ import annotations

import pytest

from relay.intake.path import (
    MailCommand,
    RcptCommand,
    Refusal,
    RefusalSlug,
    parse_mail,
    parse_rcpt,
)
from relay.message import xtext

A = "jan@voorbeeld.nl"


def mail(parameters: str) -> MailCommand | Refusal:
    argument = f" FROM:<{A}> {parameters}".encode()
    return parse_mail(argument, smtputf8_allowed=True, lenient=False)


def rcpt(parameters: str) -> RcptCommand | Refusal:
    return parse_rcpt(f" TO:<{A}> {parameters}".encode(), smtputf8_allowed=False, lenient=False)


def bad_value(keyword: str) -> Refusal:
    return Refusal(501, "5.5.4", RefusalSlug.PARAMETER_VALUE, keyword)


def unknown(keyword: str) -> Refusal:
    return Refusal(555, "5.5.4", RefusalSlug.UNKNOWN_PARAMETER, keyword)


@pytest.mark.parametrize(
    ("parameters", "command"),
    [
        ("", MailCommand(A)),
        ("SIZE=0", MailCommand(A, size=0)),
        ("size=153600", MailCommand(A, size=153600)),
        ("SIZE=99999999999999999999", MailCommand(A, size=99999999999999999999)),
        ("BODY=7BIT", MailCommand(A)),
        ("body=8bitmime", MailCommand(A, body_8bit=True)),
        ("SMTPUTF8", MailCommand(A, smtputf8=True)),
        ("RET=hdrs", MailCommand(A, ret="HDRS")),
        ("RET=FULL ENVID=QQ314159", MailCommand(A, ret="FULL", envid="QQ314159")),
        ("ENVID=a+2Bb", MailCommand(A, envid="a+2Bb")),
        ("AUTH=<>", MailCommand(A, auth="<>")),
        ("AUTH=jan+40voorbeeld.nl", MailCommand(A, auth="jan+40voorbeeld.nl")),
        ("  SIZE=1   BODY=7BIT ", MailCommand(A, size=1)),
        ("SIZE", bad_value("SIZE")),
        ("SIZE=", bad_value("SIZE")),
        ("SIZE=-1", bad_value("SIZE")),
        ("SIZE=1e3", bad_value("SIZE")),
        ("SIZE=\u0661", bad_value("SIZE")),
        ("SIZE=" + "9" * 21, bad_value("SIZE")),
        ("SIZE=1 SIZE=1", bad_value("SIZE")),
        ("BODY=BINARYMIME", bad_value("BODY")),
        ("SMTPUTF8=", bad_value("SMTPUTF8")),
        ("SMTPUTF8=1", bad_value("SMTPUTF8")),
        ("RET=ALL", bad_value("RET")),
        ("RET=HDR\u017f", bad_value("RET")),
        ("ENVID=a=b", bad_value("ENVID")),
        ("ENVID=a+0D+0Ab", bad_value("ENVID")),
        ("ENVID=a+2b", bad_value("ENVID")),
        ("ENVID=" + "x" * 101, bad_value("ENVID")),
        ("AUTH=jan+4", bad_value("AUTH")),
        ("=1", bad_value("")),
        ("(Jan)", bad_value("")),
        ("NOTIFY=NEVER", unknown("NOTIFY")),
        ("XVERP", unknown("XVERP")),
        ("X" * 50 + "=1", unknown("X" * 40)),
    ],
)
def test_mail_parameters(parameters: str, command: MailCommand | Refusal) -> None:
    assert mail(parameters) == command


@pytest.mark.parametrize(
    ("parameters", "command"),
    [
        ("NOTIFY=NEVER", RcptCommand(A, frozenset({"NEVER"}))),
        ("notify=success,Delay", RcptCommand(A, frozenset({"SUCCESS", "DELAY"}))),
        (
            "NOTIFY=FAILURE ORCPT=rfc822;jan+2Bx@voorbeeld.nl",
            RcptCommand(A, frozenset({"FAILURE"}), "rfc822;jan+2Bx@voorbeeld.nl"),
        ),
        (r"ORCPT=utf-8;jos\x{E9}@x.nl", RcptCommand(A, None, r"utf-8;jos\x{E9}@x.nl")),
        ("NOTIFY=", bad_value("NOTIFY")),
        ("NOTIFY=NEVER,DELAY", bad_value("NOTIFY")),
        ("NOTIFY=DELAY,DELAY", bad_value("NOTIFY")),
        ("NOTIFY=ALWAYS", bad_value("NOTIFY")),
        ("NOTIFY=\u017fUCCESS", bad_value("NOTIFY")),
        ("ORCPT=jan@voorbeeld.nl", bad_value("ORCPT")),
        ("ORCPT=rfc822;", bad_value("ORCPT")),
        ("ORCPT=;jan@voorbeeld.nl", bad_value("ORCPT")),
        ("ORCPT=rfc822;a+0D+0ABcc:x", bad_value("ORCPT")),
        ("ORCPT=rfc822;a+00b", bad_value("ORCPT")),
        ("ORCPT=utf-8;josé@x.nl", bad_value("ORCPT")),
        ("ORCPT=rfc822;" + "x" * 500, bad_value("ORCPT")),
        ("SIZE=1", unknown("SIZE")),
    ],
)
def test_rcpt_parameters(parameters: str, command: RcptCommand | Refusal) -> None:
    assert rcpt(parameters) == command


def test_utf8_orcpt_after_smtputf8() -> None:
    argument = f" TO:<{A}> ORCPT=utf-8;josé@x.nl".encode()
    answer = parse_rcpt(argument, smtputf8_allowed=True, lenient=False)
    assert answer == RcptCommand(A, None, "utf-8;josé@x.nl")


def test_xtext() -> None:
    assert xtext.decode("a+2Bb+3Dc+20d") == "a+b=c d"
    assert xtext.decode("plain") == "plain"
    assert xtext.decode("a b") is None
    assert xtext.decode("a+2b") is None
    assert xtext.decode("a+E9") is None
    assert xtext.encode_unicode("josé+x@y.nl") == r"jos\x{E9}\x{2B}x@y.nl"
