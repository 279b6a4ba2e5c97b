"""Dialling, TLS and the login: each failure is a value, and the password stays where it belongs."""

import asyncio
import base64
import datetime
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.certificates import Authority, ServerCertificate
from fakes.delivery_rig import rig_smarthost, with_login
from fakes.ports import free_port
from fakes.script import Action, Behaviour, Script
from fakes.smarthost import Smarthost

from presets.verdict import Phase, Scope
from relay.config.model import Smarthost as Entry
from relay.config.model import TlsMode
from relay.smarthost.connect import ConnectFailure, Connection, Timeouts, connect

PASSWORD = "CANARY-pw-7f3a"
QUICK = Timeouts(dial=1, greeting=0.5, command=1)


@pytest.fixture(autouse=True)
def no_password_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for form in forms_of_the_password():
        assert form not in caplog.text


def forms_of_the_password() -> list[str]:
    plain = f"\0bakker\0{PASSWORD}".encode()
    return [PASSWORD, *(base64.b64encode(x).decode() for x in (PASSWORD.encode(), plain))]


def starttls(authority: Authority, *names: str, **keys: Any) -> Behaviour:
    context = authority.issue(*names).server_context()
    return Behaviour(tls="starttls", context=context, users={"bakker": PASSWORD}, **keys)


def entry(fake: Smarthost, authority: Authority, tmp_path: Path, **keys: Any) -> Entry:
    login = with_login(tmp_path / "isp.secret", password=PASSWORD)
    keys = {"tls": TlsMode.STARTTLS, "ca_file": authority.ca_file, **login, **keys}
    return rig_smarthost(fake, **keys)


async def attempt(smarthost: Entry) -> Connection | ConnectFailure:
    found = await connect(smarthost, "relay.test", QUICK)
    if isinstance(found, ConnectFailure):
        text = f"{found!r} {found.detail}"
        assert not any(form in text for form in forms_of_the_password())
    else:
        await found.exchange.quit()
    return found


async def failure(smarthost: Entry) -> ConnectFailure:
    found = await attempt(smarthost)
    assert isinstance(found, ConnectFailure)
    return found


def assert_no_login(fake: Smarthost) -> None:
    for session in fake.sessions:
        assert session.logins == []
        assert b"AUTH" not in bytes(session.received).upper()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_verified_tls_and_one_login(tls: Any, authority: Authority, tmp_path: Path) -> None:
    behaviour = starttls(authority)
    behaviour.tls = tls
    with Smarthost(behaviour) as fake:
        found = await attempt(entry(fake, authority, tmp_path, tls=TlsMode(tls)))
        assert isinstance(found, Connection)
        assert found.address == "127.0.0.1"
        assert found.capabilities.pipelining
        (session,) = fake.sessions
        assert session.tls in ("TLSv1.2", "TLSv1.3")
        assert [(login.mechanism, login.accepted) for login in session.logins] == [("PLAIN", True)]


# --- the network ---


async def test_a_name_that_does_not_resolve() -> None:
    found = await failure(Entry(name="isp", host="niets.invalid", tls=TlsMode.STARTTLS))
    assert (found.phase, found.cause) == (Phase.CONNECT, "name-not-resolved")
    assert found.scope is Scope.CONNECTION
    assert "niets.invalid" in found.detail


@pytest.mark.parametrize("host", ["x" * 64 + ".nl", "", "a..b", "smtp\x00.nl"])
async def test_a_name_that_is_none(host: str) -> None:
    found = await failure(Entry(name="isp", host=host, port=1, tls=TlsMode.STARTTLS))
    assert found.phase is Phase.CONNECT


async def test_a_port_where_nobody_listens() -> None:
    found = await failure(Entry(name="isp", host="127.0.0.1", port=free_port()))
    assert (found.phase, found.cause) == (Phase.CONNECT, "connection-failed")
    assert "127.0.0.1" in found.detail


async def test_a_dead_first_address_and_a_good_one(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    with Smarthost(starttls(authority)) as fake:
        dead, good = ("127.0.0.9", fake.port), ("127.0.0.1", fake.port)
        resolve_to(monkeypatch, dead, good)
        found = await attempt(entry(fake, authority, tmp_path, host="localhost"))
        assert isinstance(found, Connection)
        assert found.address == "127.0.0.1"


async def test_an_address_family_that_this_machine_lacks(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    with Smarthost(starttls(authority)) as fake:
        resolve_to(monkeypatch, ("127.0.0.1", fake.port), ("127.0.0.1", fake.port))
        made = socket.socket

        def no_first(*kind: int) -> socket.socket:
            monkeypatch.setattr("relay.smarthost.connect.socket.socket", made)
            raise OSError(97, "Address family not supported by protocol")

        monkeypatch.setattr("relay.smarthost.connect.socket.socket", no_first)
        found = await attempt(entry(fake, authority, tmp_path, host="localhost"))
        assert isinstance(found, Connection)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *targets: tuple[str, int]) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", target) for target in targets]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("address", ["192.0.2.7", "84.246.4.155"])
async def test_without_tls_nothing_goes_to_a_public_address_behind_a_name(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, (address, 25))

    async def never(*_: Any) -> None:
        raise AssertionError("it dialled")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    found = await failure(Entry(name="isp", host="smtp.example.net", tls=TlsMode.NONE))
    assert (found.cause, found.scope) == ("public-without-tls", Scope.TLS)


# --- greeting and EHLO ---


async def test_a_silent_server(authority: Authority, tmp_path: Path) -> None:
    behaviour = starttls(authority)
    behaviour.script = {"CONNECT": Action(wait_for=threading.Event())}
    with Smarthost(behaviour) as fake:
        found = await failure(entry(fake, authority, tmp_path))
        assert (found.phase, found.scope) == (Phase.GREETING, Scope.CONNECTION)


@pytest.mark.parametrize(
    ("script", "phase", "code"),
    [
        ({"CONNECT": Action(reply="554 5.7.1 go away", drop="after")}, Phase.GREETING, 554),
        ({"CONNECT": "421 4.3.2 too many connections"}, Phase.GREETING, 421),
        ({"EHLO": "500 5.5.1 what"}, Phase.EHLO, 500),
        ({"EHLO": "421 4.7.0 no"}, Phase.EHLO, 421),
        ({"STARTTLS": "454 4.7.0 TLS not available"}, Phase.STARTTLS, 454),
        ({"EHLO": Action(drop="before")}, Phase.EHLO, None),
        ({"STARTTLS": Action(drop="before", reset=True)}, Phase.STARTTLS, None),
        ({"CONNECT": Action(drop="before")}, Phase.GREETING, None),
        ({"CONNECT": "hello there"}, Phase.GREETING, None),
    ],
)
async def test_a_refusal_before_the_login(
    script: Script, phase: Phase, code: int | None, authority: Authority, tmp_path: Path
) -> None:
    behaviour = starttls(authority, script=script)
    with Smarthost(behaviour) as fake:
        found = await failure(entry(fake, authority, tmp_path))
        assert found.phase is phase
        assert (found.reply.code if found.reply else None) == code
        assert found.scope not in (Scope.MESSAGE, Scope.RECIPIENT, Scope.SENDER, Scope.UNKNOWN)
        assert found.address == "127.0.0.1"
        assert_no_login(fake)


async def test_a_second_reply_behind_the_greeting_is_not_taken_for_ehlos(
    authority: Authority, tmp_path: Path
) -> None:
    greeting = Action(reply=b"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n")
    with Smarthost(Behaviour(script={"CONNECT": greeting}, users={"bakker": PASSWORD})) as fake:
        found = await failure(entry(fake, authority, tmp_path, tls=TlsMode.NONE))
        assert (found.phase, found.cause) == (Phase.GREETING, "out-of-step")
        assert_no_login(fake)


async def test_a_second_reply_behind_ehlos_is_not_taken_for_the_next(
    authority: Authority, tmp_path: Path
) -> None:
    reply = b"250-x\r\n250 AUTH PLAIN\r\n235 2.7.0 welcome\r\n"
    behaviour = Behaviour(script={"EHLO": Action(reply=reply)}, users={"bakker": PASSWORD})
    with Smarthost(behaviour) as fake:
        found = await failure(entry(fake, authority, tmp_path, tls=TlsMode.NONE))
        assert found.cause == "out-of-step"
        assert_no_login(fake)


# --- TLS ---


async def test_starttls_not_offered_sends_no_login(authority: Authority, tmp_path: Path) -> None:
    stripped = Behaviour(users={"bakker": PASSWORD}, login_without_tls=True)
    with Smarthost(stripped) as fake:
        found = await failure(entry(fake, authority, tmp_path))
        assert (found.cause, found.scope) == ("starttls-not-offered", Scope.TLS)
        assert_no_login(fake)
        assert fake.sessions[0].verbs == ["EHLO"]


async def test_a_reply_injected_behind_starttls_is_thrown_away(
    authority: Authority, tmp_path: Path
) -> None:
    behaviour = starttls(authority)
    injected = b"220 go ahead\r\n250-x\r\n250 AUTH LOGIN\r\n235 2.7.0 welcome\r\n"
    behaviour.script = {"STARTTLS": Action(reply=injected)}
    with Smarthost(behaviour) as fake:
        # Its replies no longer fit or TLS breaks; in neither case is the injected text believed.
        found = await attempt(entry(fake, authority, tmp_path))
        for session in fake.sessions:
            assert all(login.mechanism != "LOGIN" for login in session.logins)
        assert isinstance(found, ConnectFailure) or found.capabilities.pipelining


def expired(tmp_path: Path) -> tuple[Path, ServerCertificate]:
    authority = trustme.CA()
    leaf = authority.issue_cert(
        "127.0.0.1", not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    )
    ca_file, chain, key = (tmp_path / name for name in ("ca.pem", "chain.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(ca_file))
    leaf.cert_chain_pems[0].write_to_path(str(chain))
    leaf.private_key_pem.write_to_path(str(key))
    return ca_file, ServerCertificate(chain, key)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["unknown authority", "wrong name", "expired", "old TLS"])
async def test_a_certificate_that_is_not_right_gets_no_login(
    tls: Any, fault: str, authority: Authority, unknown_authority: Authority, tmp_path: Path
) -> None:
    ca_file = authority.ca_file
    certificate = authority.issue()
    if fault == "unknown authority":
        certificate = unknown_authority.issue()
    elif fault == "wrong name":
        certificate = authority.issue("smtp.example.net")
    elif fault == "expired":
        ca_file, certificate = expired(tmp_path)
    context = certificate.server_context()
    if fault == "old TLS":
        with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
            context.maximum_version = ssl.TLSVersion.TLSv1
    behaviour = Behaviour(tls=tls, context=context, users={"bakker": PASSWORD})
    with Smarthost(behaviour) as fake:
        found = await failure(entry(fake, authority, tmp_path, tls=TlsMode(tls), ca_file=ca_file))
        if (fault, tls) == ("old TLS", "implicit"):
            # The server's reset may overtake its alert, and then nothing tells that it was TLS.
            assert found.phase in (Phase.STARTTLS, Phase.GREETING)
        else:
            assert (found.phase, found.scope) == (Phase.STARTTLS, Scope.TLS)
            assert found.cause == (
                "tls-failed" if fault == "old TLS" else "certificate-not-trusted"
            )
        assert_no_login(fake)


async def test_a_handshake_that_never_ends(authority: Authority, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=_stall_in_tls, args=(listener,), daemon=True)
        thread.start()
        smarthost = entry(Smarthost(), authority, tmp_path)
        found = await failure(Entry(**{**_keys(smarthost), "port": port}))
        assert (found.phase, found.scope) == (Phase.STARTTLS, Scope.TLS)
        thread.join(5)


def _keys(smarthost: Entry) -> dict[str, Any]:
    return {name: getattr(smarthost, name) for name in smarthost.__slots__}


def _stall_in_tls(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"220 x\r\n")
        connection.recv(1000)
        connection.sendall(b"250-x\r\n250 STARTTLS\r\n")
        connection.recv(1000)
        connection.sendall(b"220 go\r\n")
        while connection.recv(65536):
            pass


async def test_a_ca_file_that_is_missing(authority: Authority, tmp_path: Path) -> None:
    with Smarthost(starttls(authority)) as fake:
        found = await failure(entry(fake, authority, tmp_path, ca_file=tmp_path / "gone.pem"))
        assert (found.cause, found.scope) == ("certificate-file", Scope.TLS)
        assert fake.sessions == []


# --- the login ---


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("LOGIN", "PLAIN", "XOAUTH2", "CRAM-MD5"), "PLAIN"),
        (("XOAUTH2", "LOGIN"), "LOGIN"),
        (("PLAIN",), "PLAIN"),
    ],
)
@pytest.mark.parametrize("right", [True, False])
async def test_one_mechanism_is_tried_once(
    offered: tuple[str, ...], chosen: str, right: bool, authority: Authority, tmp_path: Path
) -> None:
    behaviour = starttls(authority, mechanisms=offered)
    if not right:
        behaviour.users = {"bakker": "another"}
    with Smarthost(behaviour) as fake:
        found = await attempt(entry(fake, authority, tmp_path))
        assert isinstance(found, Connection) is right
        (session,) = fake.sessions
        await asyncio.to_thread(fake.wait_until, lambda: bool(session.ended))
        assert session.verbs.count("AUTH") == 1
        assert [login.mechanism for login in session.logins] == [chosen]


@pytest.mark.parametrize(
    ("reply", "scope"),
    [
        ("535 5.7.8 wrong", Scope.ACCOUNT),
        ("535 flurble", Scope.ACCOUNT),
        ("534 5.7.9 application password needed", Scope.ACCOUNT),
        ("550 flurble", Scope.ACCOUNT),
        ("454 4.7.0 temporary authentication failure", Scope.ACCOUNT),
        ("421 4.7.0 too busy", Scope.SERVICE),
        ("451 4.3.0 flurble", Scope.SERVICE),
    ],
)
async def test_a_refused_login(
    reply: str, scope: Scope, authority: Authority, tmp_path: Path
) -> None:
    with Smarthost(starttls(authority, script={"AUTH": reply})) as fake:
        found = await failure(entry(fake, authority, tmp_path))
        assert (found.phase, found.scope) == (Phase.AUTH, scope)
        assert found.reply is not None
        assert str(found.reply) == reply


@pytest.mark.parametrize("offered", [(), ("XOAUTH2",), ("GSSAPI", "NTLM")])
async def test_no_login_that_a_password_fits(
    offered: tuple[str, ...], authority: Authority, tmp_path: Path
) -> None:
    with Smarthost(starttls(authority, mechanisms=offered)) as fake:
        found = await failure(entry(fake, authority, tmp_path))
        assert (found.phase, found.cause) == (Phase.AUTH, "no-common-mechanism")
        assert_no_login(fake)


async def test_a_secret_that_cannot_be_read(authority: Authority, tmp_path: Path) -> None:
    with Smarthost(starttls(authority)) as fake:
        smarthost = entry(fake, authority, tmp_path)
        (tmp_path / "isp.secret").unlink()
        found = await failure(smarthost)
        assert (found.cause, found.scope) == ("secret-unreadable", Scope.ACCOUNT)
        assert_no_login(fake)


@pytest.mark.parametrize("form", range(3))
@pytest.mark.parametrize(
    "shape", ["500 unknown command {}", '535 5.7.8 "{}" is wrong', "501-a\n501 <{}>"]
)
async def test_a_server_that_repeats_the_password_does_not_make_us_repeat_it(
    form: int, shape: str, authority: Authority, tmp_path: Path
) -> None:
    reply = shape.format(forms_of_the_password()[form])
    with Smarthost(starttls(authority, script={"AUTH": reply})) as fake:
        found = await failure(entry(fake, authority, tmp_path))
        assert "***" in found.detail


async def test_a_password_beyond_ascii(authority: Authority, tmp_path: Path) -> None:
    with Smarthost(starttls(authority)) as fake:
        fake.behaviour.users = {"bakker": "gehéim€"}
        smarthost = entry(fake, authority, tmp_path)
        (tmp_path / "isp.secret").write_text("gehéim€", encoding="utf-8")
        assert isinstance(await attempt(smarthost), Connection)


async def test_in_clear_a_login_goes_only_over_loopback(tmp_path: Path) -> None:
    behaviour = Behaviour(users={"bakker": PASSWORD}, login_without_tls=True)
    with Smarthost(behaviour) as fake:
        login = with_login(tmp_path / "isp.secret", password=PASSWORD)
        assert isinstance(await attempt(rig_smarthost(fake, **login)), Connection)


async def test_cancelled_while_it_waits_it_leaves_nothing_open(
    authority: Authority, tmp_path: Path
) -> None:
    behaviour = starttls(authority, script={"AUTH": Action(wait_for=threading.Event())})
    with Smarthost(behaviour) as fake:
        task = asyncio.create_task(connect(entry(fake, authority, tmp_path), "relay.test"))
        await asyncio.to_thread(
            fake.wait_until, lambda: bool(fake.sessions) and "AUTH" in fake.sessions[0].verbs
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert fake.sessions[0].ended
