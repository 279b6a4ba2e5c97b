"""The login with an access token: one AUTH, what the server says to it, and no token anywhere."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import rig_smarthost
from fakes.script import Action, Behaviour, Command
from fakes.smarthost import Smarthost

from presets.verdict import Phase, Scope
from relay.account.login_test import try_login
from relay.config.model import AuthMethod, OAuth2, TlsMode
from relay.config.model import Smarthost as Entry
from relay.config.secret import SecretRef
from relay.smarthost.connect import ConnectFailure, Connection, Timeouts, connect
from relay.smarthost.masking import masked_token
from relay.smarthost.tokens import NoToken
from relay.smarthost.xoauth2 import decoded_challenge, initial_response

USER = "boekhouding@bakkerij.example"
TOKEN = "ya29.CANARY-a0Af_H6~SMB/qv+7h2Jx0kL9mN4pQrStUvWxYz0123456789=="
QUICK = Timeouts(dial=1, greeting=1, command=1)


class Given:
    """Tokens that a test lays out; what was refused is noted."""

    def __init__(self, token: str | NoToken = TOKEN) -> None:
        self.token = token
        self.asked = 0
        self.refusals: list[str] = []

    async def access_token(self, smarthost: Entry) -> str | NoToken:
        self.asked += 1
        return self.token

    async def refused(self, smarthost: Entry, token: str) -> None:
        self.refusals.append(token)


def forms() -> list[str]:
    coded = [base64.b64encode(bytes(n) + TOKEN.encode())[8:-8].decode() for n in range(3)]
    return [TOKEN, TOKEN[:20], TOKEN[-20:], quote(TOKEN, safe=""), *coded]


@pytest.fixture(autouse=True)
def no_token_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert not any(form in caplog.text for form in forms())


def behaviour(authority: Authority, **keys: Any) -> Behaviour:
    keys = {"users": {USER: TOKEN}, "mechanisms": ("LOGIN", "XOAUTH2"), **keys}
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, **keys)


def entry(fake: Smarthost, authority: Authority, **keys: Any) -> Entry:
    keys = {
        "tls": TlsMode.STARTTLS,
        "ca_file": authority.ca_file,
        "auth": AuthMethod.OAUTH2,
        "username": USER,
        "oauth2": OAuth2(client_id="app"),
        **keys,
    }
    return rig_smarthost(fake, **keys)


async def failure(smarthost: Entry, tokens: Given | None) -> ConnectFailure:
    found = await connect(smarthost, "relay.test", QUICK, tokens)
    assert isinstance(found, ConnectFailure)
    assert not any(form in f"{found!r} {found.detail}" for form in forms())
    return found


def auth_lines(fake: Smarthost) -> list[str]:
    return [line for session in fake.sessions for line in session.commands if "AUTH" in line]


async def test_one_command_with_the_token_in_it(authority: Authority) -> None:
    with Smarthost(behaviour(authority)) as fake:
        found = await connect(entry(fake, authority), "relay.test", QUICK, Given())
        assert isinstance(found, Connection)
        await found.exchange.quit()
        (login,) = fake.sessions[0].logins
        assert (login.mechanism, login.username, login.password) == ("XOAUTH2", USER, TOKEN)
        (line,) = auth_lines(fake)
        sent = base64.b64decode(line.split()[2], validate=True)
        assert sent == f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01".encode()


async def test_a_refusal_is_explained_by_its_challenge_and_judged_by_its_reply(
    authority: Authority,
) -> None:
    with Smarthost(behaviour(authority, users={USER: "another"})) as fake:
        tokens = Given()
        found = await failure(entry(fake, authority), tokens)
        assert (found.phase, found.scope) == (Phase.AUTH, Scope.ACCOUNT)
        assert found.reply is not None
        assert (found.reply.code, found.reply.enhanced) == (535, "5.7.8")
        assert "status=400 schemes=Bearer scope=https://mail.google.com/" in found.detail
        assert tokens.refusals == [TOKEN]
        assert len(auth_lines(fake)) == 1
        commands = fake.sessions[0].commands
        assert commands[commands.index(auth_lines(fake)[0]) + 1] == ""


@pytest.mark.parametrize("status", ["400", "401"])
@pytest.mark.parametrize(
    "end", [Action(drop="before"), Action(drop="before", reset=True), Action(reply=b"hm\r\n")]
)
async def test_a_challenge_that_refuses_the_token_is_enough(
    status: str, end: Action, authority: Authority
) -> None:
    """Some servers hang up before the reply that says so."""
    said = json.dumps({"status": status, "schemes": "Bearer", "scope": TOKEN})
    keys = {"users": {USER: "another"}, "token_challenge": said, "script": {"AUTH": end}}
    with Smarthost(behaviour(authority, **keys)) as fake:
        tokens = Given()
        found = await failure(entry(fake, authority), tokens)
        assert (found.phase, found.scope) == (Phase.AUTH, Scope.ACCOUNT)
        assert found.cause == "oauth-token-refused"
        assert found.detail.startswith(f"status={status} schemes=Bearer")
        assert tokens.refusals == [TOKEN]
        assert len(auth_lines(fake)) == 1


@pytest.mark.parametrize("said", ["", '{"status":"500"}', '{"schemes":"Bearer"}', "[]"])
async def test_who_hangs_up_after_any_other_challenge_has_refused_nothing(
    said: str, authority: Authority
) -> None:
    keys = {"users": {USER: "another"}, "token_challenge": said}
    script = {"AUTH": Action(drop="before")}
    with Smarthost(behaviour(authority, script=script, **keys)) as fake:
        tokens = Given()
        found = await failure(entry(fake, authority), tokens)
        assert (found.cause, found.scope) == ("connection-lost", Scope.CONNECTION)
        assert tokens.refusals == []


async def test_a_refusal_without_a_challenge(authority: Authority) -> None:
    with Smarthost(behaviour(authority, users={USER: "another"}, token_challenge=None)) as fake:
        found = await failure(entry(fake, authority), Given())
        assert found.detail == "535 5.7.8 wrong user name or password"


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ("454 4.7.0 temporary authentication failure", False),
        ("421 4.7.0 try later", False),
        ("334 eyJzdGF0dXMiOiI0MDAifQ==", False),
        ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", True),
    ],
)
async def test_only_a_refused_login_drops_the_token(
    reply: str, refused: bool, authority: Authority
) -> None:
    with Smarthost(behaviour(authority, token_challenge=None, script={"AUTH": reply})) as fake:
        tokens = Given()
        await failure(entry(fake, authority), tokens)
        assert tokens.refusals == ([TOKEN] if refused else [])


def repeated(command: Command) -> Action:
    initial = command.argument.split()[1]
    texts = (f"bad {initial}", f"cut {initial[:110]}", TOKEN[:30], quote(TOKEN, safe=""))
    lines = [f"535-5.7.8 {text}" for text in texts]
    return Action(reply="\n".join([*lines, "535 5.7.8 done"]))


async def test_a_server_that_repeats_the_token_in_its_reply(authority: Authority) -> None:
    with Smarthost(behaviour(authority, token_challenge=None, script={"AUTH": repeated})) as fake:
        found = await failure(entry(fake, authority), Given())
        assert found.reply is not None
        assert found.reply.text.count("***") >= 4
        assert initial_response(USER, TOKEN).decode()[52:70] not in found.reply.text


async def test_a_server_that_repeats_the_token_in_its_challenge(authority: Authority) -> None:
    challenge = json.dumps({"status": "401", "scope": TOKEN})
    refusing = behaviour(authority, users={USER: "x" * 20}, token_challenge=challenge)
    with Smarthost(refusing) as fake:
        found = await failure(entry(fake, authority), Given())
        assert "status=401 scope=***" in found.detail


@pytest.mark.parametrize("offered", [("PLAIN", "LOGIN"), ("OAUTHBEARER",)])
async def test_a_server_without_xoauth2_gets_no_token_and_no_password(
    offered: tuple[str, ...], authority: Authority, tmp_path: Path
) -> None:
    secret = tmp_path / "isp.secret"
    secret.touch(0o600)
    secret.write_text(TOKEN)
    with Smarthost(behaviour(authority, mechanisms=offered)) as fake:
        tokens = Given()
        keys = {"password": SecretRef("file", str(secret))}
        found = await failure(entry(fake, authority, **keys), tokens)
        assert (found.cause, found.scope) == ("no-common-mechanism", Scope.SERVICE)
        assert all(name in found.detail for name in offered)
        assert tokens.asked == 0
        assert auth_lines(fake) == []


async def test_without_tls_only_on_loopback(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Behaviour(users={USER: TOKEN}, mechanisms=("XOAUTH2",), login_without_tls=True)
    with Smarthost(plain) as fake:
        smarthost = entry(fake, authority, tls=TlsMode.NONE)
        assert isinstance(await connect(smarthost, "relay.test", QUICK, Given()), Connection)
        monkeypatch.setattr("relay.smarthost.steps._is_loopback", lambda _: False)
        tokens = Given()
        found = await failure(smarthost, tokens)
        assert (found.cause, found.scope, tokens.asked) == ("login-in-clear", Scope.TLS, 0)


async def test_a_certificate_of_nobody_gets_no_token(
    authority: Authority, unknown_authority: Authority
) -> None:
    with Smarthost(behaviour(unknown_authority)) as fake:
        tokens = Given()
        found = await failure(entry(fake, authority), tokens)
        assert (found.cause, tokens.asked) == ("certificate-not-trusted", 0)


@pytest.mark.parametrize("scope", [Scope.ACCOUNT, Scope.SERVICE, Scope.CONNECTION])
async def test_why_there_is_no_token_is_the_failure(scope: Scope, authority: Authority) -> None:
    with Smarthost(behaviour(authority)) as fake:
        tokens = Given(NoToken(scope, "token-throttled", "later"))
        found = await failure(entry(fake, authority), tokens)
        assert (found.phase, found.scope, found.cause) == (Phase.AUTH, scope, "token-throttled")
        assert (found.detail, found.reply) == ("later", None)
        assert auth_lines(fake) == []


async def test_where_nobody_has_tokens(authority: Authority) -> None:
    with Smarthost(behaviour(authority)) as fake:
        found = await failure(entry(fake, authority), None)
        assert (found.cause, found.scope) == ("no-token", Scope.UNKNOWN)


@pytest.mark.parametrize("username", [f"{USER}\x01auth=Bearer x", "a\r\nMAIL FROM:<x>"])
async def test_a_user_name_that_forges_fields(username: str, authority: Authority) -> None:
    with Smarthost(behaviour(authority)) as fake:
        await failure(entry(fake, authority, username=username), Given())
        assert auth_lines(fake) == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b'{"status":401}', "status=401"),
        (b'{"status":"400","x":"y"}', "status=400"),
        (b'{"scope":{"a":1}}', ""),
        (b"[1]", ""),
        (b"no json", ""),
        (b"\xff\xfe", ""),
        (b"[" * 3000, ""),
        (json.dumps({"scope": "x" * 900}).encode(), "scope=" + "x" * 100),
        (json.dumps({"status": "4\r\n00\x1b[2J"}).encode(), "status=4  00\ufffd[2J"),
    ],
)
def test_what_a_challenge_says(said: bytes, shown: str) -> None:
    assert decoded_challenge(base64.b64encode(said).decode()) == shown


def test_a_challenge_that_is_no_base64_or_has_no_end() -> None:
    assert decoded_challenge("***") == ""
    assert decoded_challenge(base64.b64encode(b'{"a":"' + b"x" * 90_000 + b'"}').decode()) == ""


@pytest.mark.parametrize("text", forms())
def test_every_form_of_a_token_is_masked(text: str) -> None:
    around = f"before {text} after"
    assert masked_token(around, TOKEN) == "before *** after"
    wrapped = f"before {text[:9]}\n{text[9:]} after"
    assert masked_token(wrapped, TOKEN) == "before *** after"


def test_the_url_alphabet_of_base64_is_masked() -> None:
    token = "\u00fb\u00ff" * 12
    text = base64.urlsafe_b64encode(token.encode()).decode()
    assert masked_token(text, token).strip("=w") == "***"


def test_a_short_token_is_masked_whole_and_words_stay() -> None:
    assert masked_token("the token tok-17 is bad", "tok-17") == "the token *** is bad"
    text = "5.7.3 Authentication unsuccessful [AM0PR01CA0123.eurprd01.prod.exchangelabs.com]"
    assert masked_token(text, TOKEN) == text


async def test_a_login_test_tells_what_happened(authority: Authority) -> None:
    with Smarthost(behaviour(authority)) as fake:
        good = await try_login(entry(fake, authority), "relay.test", Given(), QUICK)
        assert (good.accepted, good.mechanism, good.phase, good.cause) == (
            True,
            "XOAUTH2",
            None,
            None,
        )
        assert good.mechanisms_offered == ("LOGIN", "XOAUTH2")
        assert good.reply is not None
        assert (good.reply.code, good.address) == (235, "127.0.0.1")
        fake.behaviour.users = {USER: "another"}
        bad = await try_login(entry(fake, authority), "relay.test", Given(), QUICK)
        assert (bad.accepted, bad.mechanism) == (False, "XOAUTH2")
        assert (bad.phase, bad.scope) == (Phase.AUTH, Scope.ACCOUNT)
        assert len(auth_lines(fake)) == 2
        assert [session.transactions for session in fake.sessions] == [[], []]
    gone = await try_login(entry(fake, authority), "relay.test", Given(), QUICK)
    assert (gone.accepted, gone.phase, gone.mechanism) == (False, Phase.CONNECT, None)
