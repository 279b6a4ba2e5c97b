"""`diagnose connect` against servers that answer, refuse, drop, keep silent or are no mail server."""

import os
import socket
import string
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.blunt_server import BluntServer, answers, dropping_port, endless, hangs_up, says, silent
from fakes.certificates import Authority
from fakes.examining import Examiner, findings, the_finding
from fakes.faulty_certificates import issued
from fakes.nameserver import Fault, NameServer
from fakes.ports import free_port
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from diagnose.commands.connect import connect
from diagnose.wording import texts

CONNECT = Examiner(connect)
ATTEMPT = {"address", "family", "port", "outcome", "banner", "milliseconds"}
ZONE = """
mail.bakkerij.test. 300 IN A 127.0.0.1
six.bakkerij.test. 300 IN A 127.0.0.1
six.bakkerij.test. 300 IN AAAA 2001:db8::1
text.bakkerij.test. 300 IN TXT "no address"
"""


def only(document: dict[str, Any]) -> dict[str, Any]:
    (attempt,) = document["attempts"]
    assert set(attempt) == ATTEMPT
    return dict(attempt)


@pytest.fixture
def needs_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        reason = "no IPv6 loopback here"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def test_an_open_port_with_banner_capabilities_and_the_time_of_each_step(
    authority: Authority,
) -> None:
    behaviour = Behaviour(tls="starttls", context=authority.issue().server_context())
    with Smarthost(behaviour) as fake:
        found = CONNECT.document(f"127.0.0.1:{fake.port}", code=0)
        fake.wait_until(lambda: fake.open_connections == 0)
        said = fake.sessions[0].verbs
    # It does not wait for an answer to QUIT, so the end of the connection may overtake it.
    assert said[:3] == ["EHLO", "STARTTLS", "EHLO"]
    assert said[3:] in ([], ["QUIT"])
    attempt = only(found)
    assert (attempt["address"], attempt["family"], attempt["port"]) == ("127.0.0.1", 4, fake.port)
    assert (attempt["outcome"], attempt["banner"]) == ("open", "220 smarthost.test ESMTP")
    assert isinstance(attempt["milliseconds"], int)
    assert found["verdict"] == "pass"
    (seen,) = the_finding(found, "open")["evidence"]["attempts"]
    assert "PIPELINING" in seen["capabilities"]
    assert seen["milliseconds"].keys() == {"connect", "greeting", "ehlo", "starttls", "handshake"}


@pytest.mark.parametrize("only_4", [True, False])
def test_a_port_with_tls_from_the_start_is_found_open(authority: Authority, only_4: bool) -> None:
    behaviour = Behaviour(tls="implicit", context=authority.issue().server_context())
    options = ["-4"] if only_4 else []
    with Smarthost(behaviour) as fake:
        found = CONNECT.document(f"localhost:{fake.port}", "--timeout", "0.5", *options, code=0)
    assert "220 smarthost.test ESMTP" in [each["banner"] for each in found["attempts"]]
    assert the_finding(found, "open")["evidence"]["attempts"][0]["tls"] == "implicit"


def test_a_dropped_connection_tells_what_to_open_within_the_time() -> None:
    began = time.monotonic()
    with dropping_port() as port:
        found = CONNECT.document(f"127.0.0.1:{port}", "--timeout", "0.5", code=1)
    assert time.monotonic() - began < 5
    attempt = only(found)
    assert (attempt["outcome"], attempt["banner"]) == ("timeout", None)
    assert 400 <= attempt["milliseconds"] < 5000
    remedy = the_finding(found, "dropped")["remedy"][0]
    assert "outgoing traffic, protocol TCP" in remedy
    assert f"from this computer (127.0.0.1) to 127.0.0.1 (127.0.0.1), destination port {port}" in (
        remedy
    )


def test_a_refused_connection() -> None:
    found = CONNECT.document(f"127.0.0.1:{free_port()}", code=1)
    assert only(found)["outcome"] == "refused"
    assert findings(found) == {"refused": "error"}


def test_no_such_name_is_an_error_and_a_silent_name_server_is_unknown() -> None:
    with NameServer(ZONE) as server:
        asked = ("--nameserver", server.address, "--timeout", "0.5")
        nothing = CONNECT.document("nothing.bakkerij.test:587", *asked, code=1)
        no_address = CONNECT.document("text.bakkerij.test:587", *asked, code=1)
        server.faults["mail.bakkerij.test"] = Fault("silent")
        unknown = CONNECT.document("mail.bakkerij.test:587", *asked, code=3)
        server.faults["mail.bakkerij.test"] = Fault("servfail")
        failed = CONNECT.document("mail.bakkerij.test:587", *asked, code=3)
    assert findings(nothing) == {"no-such-name": "error"}
    assert findings(no_address) == {"no-address": "error"}
    assert findings(unknown) == findings(failed) == {"dns-failed": "unknown"}
    assert {only(each)["outcome"] for each in (nothing, no_address, unknown, failed)} == {"dns"}


@pytest.mark.parametrize(
    ("number", "id_", "code"),
    [
        (socket.EAI_NONAME, "no-such-name", 1),
        (socket.EAI_AGAIN, "dns-failed", 3),
        (socket.EAI_FAIL, "dns-failed", 3),
    ],
)
def test_what_the_system_says_of_a_name(
    number: int, id_: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "as the system says")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    found = CONNECT.document("mail.bakkerij.test:587", code=code)
    assert list(findings(found)) == [id_]
    assert "as the system says" in the_finding(found, id_)["detail"]


def test_a_system_that_does_not_answer_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    found = CONNECT.document("mail.bakkerij.test:587", "--timeout", "0.3", code=3)
    assert time.monotonic() - began < 5
    assert findings(found) == {"dns-failed": "unknown"}
    released.set()


def test_names_go_to_the_name_server_that_was_named() -> None:
    with NameServer(ZONE) as server, Smarthost() as fake:
        target = f"mail.bakkerij.test:{fake.port}"
        found = CONNECT.document(target, "--nameserver", server.address, code=0)
        asked = {question.name for question in server.questions}
    assert only(found)["address"] == "127.0.0.1"
    assert asked == {"mail.bakkerij.test"}
    # It greets as smarthost.test and no certificate says who it is: told, and no more than that.
    assert findings(found) == {"another-name": "warning"}


def test_no_way_over_ipv6_is_no_more_than_told_where_ipv4_works() -> None:
    behaviour = Behaviour(script={"CONNECT": "220 six.bakkerij.test ESMTP"})
    with NameServer(ZONE) as server, Smarthost(behaviour) as fake:
        options = ("--nameserver", server.address, "--timeout", "0.5")
        found = CONNECT.document(f"six.bakkerij.test:{fake.port}", *options, code=0)
        only_6 = CONNECT.document(f"six.bakkerij.test:{fake.port}", *options, "-6", code=1)
    by_family = {each["family"]: each["outcome"] for each in found["attempts"]}
    assert by_family[4] == "open"
    # Whether 2001:db8::1 has no route or is dropped depends on the machine.
    assert by_family[6] in ("unreachable", "timeout")
    assert findings(found)["open"] == "ok"
    assert findings(found).get("no-ipv6", "info") == "info"
    assert [each["family"] for each in only_6["attempts"]] == [6]


@pytest.mark.usefixtures("needs_ipv6")
def test_ipv6_loopback() -> None:
    with BluntServer(answers(b"220 six.test ESMTP\r\n", b"250 six.test\r\n"), "::1") as server:
        found = CONNECT.document(f"[::1]:{server.port}", "--timeout", "1", code=0)
    attempt = only(found)
    assert (attempt["address"], attempt["family"], attempt["outcome"]) == ("::1", 6, "open")


@pytest.mark.parametrize(
    ("greeting", "id_"),
    [
        (b"+OK Dovecot ready.\r\n", "mail-reading-port"),
        (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", "mail-reading-port"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no-mail-server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no-mail-server"),
        (b"220 ProFTPD Server ready\r\n", "no-mail-server"),
        (b"welcome\r\n", "no-mail-server"),
        (b"\x00\xff\xfe\x80\r\n", "no-mail-server"),
    ],
)
def test_what_is_no_mail_server(greeting: bytes, id_: str) -> None:
    with BluntServer(says(greeting)) as server:
        found = CONNECT.document(f"127.0.0.1:{server.port}", code=1)
    assert only(found)["outcome"] == "not-smtp"
    assert findings(found) == {id_: "error"}


def test_the_mix_up_of_reading_and_sending_mail_is_explained() -> None:
    with BluntServer(says(b"+OK POP3 ready\r\n")) as server:
        remedy = "\n".join(CONNECT.run(f"127.0.0.1:{server.port}", "--lang", "nl").stdout.split())
    for word in ("POP3", "IMAP", "SMTP", "587", "werkstations", "firewall"):
        assert word in remedy


def test_a_silent_server_costs_no_more_than_the_time_of_its_steps() -> None:
    began = time.monotonic()
    with BluntServer(silent) as server:
        found = CONNECT.document(f"127.0.0.1:{server.port}", "--timeout", "0.4", code=1)
    assert time.monotonic() - began < 4
    assert only(found)["outcome"] == "timeout"
    assert findings(found) == {"no-greeting": "error"}


def test_a_server_that_hangs_up() -> None:
    with BluntServer(hangs_up) as server:
        found = CONNECT.document(f"127.0.0.1:{server.port}", "--timeout", "1", code=1)
    assert findings(found) == {"closed-at-once": "error"}


@pytest.mark.parametrize("block", [b"220-" + b"x" * 1000 + b"\r\n", b"y" * 60000, b"220-\n" * 9000])
def test_an_endless_banner_is_cut(block: bytes) -> None:
    with BluntServer(endless(block)) as server:
        found = CONNECT.document(f"127.0.0.1:{server.port}", "--timeout", "2", code=1)
    assert findings(found) == {"endless-greeting": "error"}
    assert len(only(found)["banner"]) <= 500


def test_ten_megabytes_of_ehlo_are_not_read() -> None:
    flood = b"250-X" + b"y" * 500 + b"\r\n"
    with BluntServer(answers(b"220 flood.test ESMTP\r\n", flood * 20_000)) as server:
        began = time.monotonic()
        found = CONNECT.document(f"127.0.0.1:{server.port}", "--timeout", "5", code=1)
    assert time.monotonic() - began < 5
    assert only(found)["outcome"] == "open"
    assert findings(found) == {"breaks-off": "error"}
    assert len(str(found)) < 20_000


@pytest.mark.parametrize(
    ("replies", "step"),
    [
        ([b"220 mail.test ESMTP\r\n"], "EHLO"),
        ([b"220 mail.test ESMTP\r\n", b"250-mail.test\r\n250 STARTTLS\r\n"], "STARTTLS"),
        ([b"220 mail.test\r\n", b"250-mail.test\r\n250 STARTTLS\r\n", b"220 go\r\n"], "TLS"),
    ],
)
def test_a_server_that_greets_and_then_falls_silent_is_not_good(
    replies: list[bytes], step: str
) -> None:
    with BluntServer(answers(*replies)) as server:
        found = CONNECT.document(f"127.0.0.1:{server.port}", "--timeout", "0.3", code=1)
    assert only(found)["outcome"] == "open"
    assert the_finding(found, "breaks-off")["evidence"]["step"] == step


@pytest.mark.parametrize("lang", ["nl", "en"])
def test_escape_sequences_reach_no_terminal(lang: str) -> None:
    hostile = b"220 \x1b]0;owned\x07\x1b[31m evil.test \xc2\x9b2J ESMTP\r\n"
    ehlo = b"250-evil.test\r\n250-\x1b[2JX\r\n250 SIZE\r\n"
    with BluntServer(answers(hostile, ehlo)) as server:
        target = f"127.0.0.1:{server.port}"
        shown = CONNECT.run(target, "--lang", lang).stdout
        kept = str(CONNECT.document(target, code=0))
    for text in (shown, kept):
        assert not {"\x1b", "\x07", "\x9b"} & set(text)


def test_a_refusal_in_the_greeting_is_explained() -> None:
    script = {"CONNECT": "554 5.7.1 Service unavailable; Client host blocked using Spamhaus"}
    with Smarthost(Behaviour(script=script)) as fake:
        found = CONNECT.document(f"127.0.0.1:{fake.port}", code=1)
    assert only(found)["outcome"] == "open"
    refused = the_finding(found, "greeting-refused")
    assert refused["remedy"]
    assert refused["detail"]


@pytest.mark.parametrize(
    "script",
    [
        {"CONNECT": Action(reply=b"220 ****************************\r\n")},
        {"EHLO": "250-smarthost.test\n250-PIPELINING\n250-XXXXXXXA\n250 8BITMIME"},
    ],
)
def test_a_firewall_that_inspects_smtp(script: dict[str, Any]) -> None:
    with Smarthost(Behaviour(script=script)) as fake:
        found = CONNECT.document(f"127.0.0.1:{fake.port}", code=1)
    assert only(found)["outcome"] == "intercepted"
    assert findings(found) == {"smtp-inspection": "error"}


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_virus_scanner_by_its_issuer(tls: Any, tmp_path: Path) -> None:
    scanner = trustme.CA(organization_name="Avast Web/Mail Shield")
    context = issued(tmp_path, scanner).server_context()
    behaviour = Behaviour(tls=tls, context=context)
    with Smarthost(behaviour) as fake:
        found = CONNECT.document(f"127.0.0.1:{fake.port}", "--timeout", "0.5", code=1)
    assert only(found)["outcome"] == "intercepted"
    finding = the_finding(found, "antivirus")
    assert finding["evidence"]["product"] == "Avast"
    assert finding["evidence"]["source"].startswith("https://")


@pytest.mark.parametrize("target", ["zigo", "", "a b", "x:99999", "info@ziggo.nl"])
def test_wrong_usage_is_exit_2_and_no_document(target: str) -> None:
    result = CONNECT.run(target, "--json", "--lang", "en")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_strict_makes_a_warning_exit_1() -> None:
    with NameServer(ZONE) as server, Smarthost() as fake:
        options = (f"mail.bakkerij.test:{fake.port}", "--nameserver", server.address)
        assert CONNECT.run(*options).exit_code == 0
        assert CONNECT.run(*options, "--strict").exit_code == 1


@pytest.mark.parametrize("topic", ["connect", "tls", "target"])
def test_dutch_and_english_have_the_same_texts_and_blanks(topic: str) -> None:
    def blanks(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for id_, entry in texts(topic).items():
        if "title" not in entry:
            assert entry.keys() == {"nl", "en"}, id_
            assert blanks(entry["nl"]) == blanks(entry["en"]), id_
            continue
        assert entry.keys() <= {"title", "detail", "remedy", "reference"}, id_
        for part in ("title", "detail", "remedy"):
            both = entry.get(part, {"nl": "", "en": ""})
            assert both.keys() == {"nl", "en"}, (id_, part)
            assert len(both["nl"]) > 0 or part not in entry, (id_, part)
            nl, en = (" ".join([both[each]] if part != "remedy" else both[each]) for each in both)
            assert blanks(nl) == blanks(en), (id_, part)
        if part == "remedy":
            assert len(entry.get("remedy", {}).get("nl", ())) == len(
                entry.get("remedy", {}).get("en", ())
            ), id_
