"""The fake providers talk as their transcripts say, and let in nobody but their one account."""

import ast
import smtplib  # noqa: TID251 -- an independent client to try our fake with
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes import providers
from fakes.certificates import Authority
from fakes.providers import PASSWORD, PROVIDERS, USERNAME, Provider, refusals, transcript
from fakes.raw_client import RawClient

MESSAGE = b"Subject: factuur\r\n\r\n.dot\r\n"


@contextmanager
def secured(fake: Provider, authority: Authority) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", fake.port, timeout=10) as client:
        client.ehlo()
        client.starttls(context=authority.client_context())
        client.ehlo()
        yield client


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_mail_from_banner_to_end(name: str, authority: Authority) -> None:
    words = transcript(name)
    with Provider(name, authority.issue().server_context()) as fake:
        with RawClient(fake.host, fake.port) as raw:
            assert raw.reply() == words["greeting"]
            assert raw.command("EHLO kassa").splitlines()[-1] == f"250 {words['before_tls'][-1]}"
        with secured(fake, authority) as client:
            offered = (client.ehlo_resp or b"").decode().splitlines()[1:]
            assert offered == words["after_tls"]
            assert client.login(USERNAME, PASSWORD)[1].decode() == words["logged_in"][4:]
            assert client.sendmail(USERNAME, ["klant@example.org"], MESSAGE) == {}
        (message,) = fake.accepted
        assert message.content == MESSAGE
        assert message.reply == words["accepted"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_who_is_not_logged_in_sends_nothing(name: str, authority: Authority) -> None:
    words = transcript(name)
    with Provider(name, authority.issue().server_context()) as fake:
        with secured(fake, authority) as client:
            for username, password in ((USERNAME, "fout"), ("ander", PASSWORD), ("", "")):
                with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
                    client.login(username, password)
                assert str(caught.value.smtp_code) == words["wrong_login"][:3]
            code, _ = client.docmd("MAIL", f"FROM:<{USERNAME}>")
            assert str(code) == words["anonymous"][:3]
            assert client.docmd("RCPT", "TO:<klant@example.org>")[0] == 503
        assert fake.accepted == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_it_speaks_only_the_login_that_it_offers(name: str, authority: Authority) -> None:
    context = authority.issue().server_context()
    with Provider(name, context) as fake, secured(fake, authority) as client:
        assert client.docmd("AUTH", "CRAM-MD5")[0] == 504


def test_a_refusal_of_several_lines_is_one_reply(authority: Authority) -> None:
    context = authority.issue().server_context()
    with (
        Provider("microsoft365", context, "auth-off-tenant") as fake,
        secured(fake, authority) as client,
        pytest.raises(smtplib.SMTPException) as caught,
    ):
        client.login(USERNAME, PASSWORD)
    assert str(caught.value).count("5.7.139") >= 3


def test_a_server_that_will_not_greet_hangs_up(authority: Authority) -> None:
    context = authority.issue().server_context()
    with (
        Provider("kpn", context, "blacklisted-at-connect") as fake,
        RawClient(fake.host, fake.port) as raw,
    ):
        assert raw.reply().startswith("554 Your IP: ")
        assert raw.rest() == b""


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_refusal_is_a_reply_at_a_known_moment(name: str) -> None:
    for one in refusals(name).values():
        assert one.at in ("CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "DOT")
        assert all(line[:3].isdigit() or line[0] in "[(" for line in one.reply.splitlines())
        assert one.reply[0] in "345"


def test_the_fakes_know_nothing_of_presets() -> None:
    tree = ast.parse(Path(providers.__file__).read_text("utf-8"))
    named = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not {name for name in named if name.split(".")[0] in ("presets", "relay", "diagnose")}
