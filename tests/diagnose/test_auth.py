"""`diagnose auth`: one login, once, over verified TLS, and its answer explained."""

import base64
import json
import string
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from fakes.certificates import Authority
from fakes.peers import needs
from fakes.ports import free_port
from fakes.postfix import Postfix
from fakes.providers import PASSWORD, PROVIDERS, USERNAME, Provider
from fakes.relay_file import RelayFile
from fakes.script import Action, Behaviour, Script
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from diagnose.account import Login, from_server
from diagnose.commands.auth import auth
from diagnose.options import Run
from diagnose.runner import Circumstances
from diagnose.wording import texts

KEYS = {"mechanism", "mechanisms_offered", "accepted", "reply", "explanation"}
EXPLANATION = {"cause", "scope", "retry", "provider", "meaning", "steps"}

app = typer.Typer()
app.command()(auth)


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of the command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        assert found["command"] == "auth"
        assert found.keys() >= KEYS
        return found

    @property
    def ids(self) -> list[str]:
        return [each["id"] for each in self.document["findings"]]


def run(*arguments: object) -> Said:
    """The command; no form of the password may appear in whatever it says."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    plain = f"\0{USERNAME}\0{PASSWORD}".encode()
    for form in (PASSWORD, *(base64.b64encode(x).decode() for x in (PASSWORD.encode(), plain))):
        assert form not in result.output
    assert "\x1b" not in result.output
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "isp.secret"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\n")
    return path


def behave(authority: Authority, script: Script | None = None, **keys: Any) -> Behaviour:
    context = authority.issue().server_context()
    values = {"tls": "starttls", "users": {USERNAME: PASSWORD}, **keys}
    return Behaviour(script=script or {}, context=context, **values)


def log_in(fake: Smarthost, authority: Authority, secret: Path, *more: object) -> Said:
    """A login at the fake, as JSON in English."""
    options = ("--username", USERNAME, "--password-file", secret, "--ca-file", authority.ca_file)
    where = f"localhost:{fake.port}"
    return run(where, *options, "--json", "--lang", "en", "--timeout", "5", "-4", *more)


def logins(fake: Smarthost) -> int:
    return sum(session.times["AUTH"] for session in fake.sessions)


# --- accepted ---


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_right_login_is_accepted(provider: str, authority: Authority, secret: Path) -> None:
    with Provider(provider, authority.issue().server_context()) as fake:
        said = log_in(fake, authority, secret)
        assert logins(fake) == 1
        assert [session.ended for session in fake.sessions] == ["quit"]
    found = said.document
    assert (said.code, found["verdict"], said.ids) == (0, "pass", ["login-accepted"])
    assert found["accepted"] is True
    # Microsoft offers no PLAIN.
    assert found["mechanism"] == ("LOGIN" if provider == "microsoft365" else "PLAIN")
    assert found["mechanism"] in found["mechanisms_offered"]
    assert found["reply"]["code"] == 235
    assert found["explanation"] is None


@pytest.mark.parametrize("language", ["nl", "en"])
def test_people_read_each_step_with_its_reply(
    language: str, authority: Authority, secret: Path
) -> None:
    with Provider("gmail", authority.issue().server_context()) as fake:
        options = ("--username", USERNAME, "--password-file", secret)
        where = ("--ca-file", authority.ca_file, "--lang", language)
        said = run(f"localhost:{fake.port}", *options, *where)
    assert said.code == 0
    for step in ("dns", "connect", "greeting", "ehlo", "tls", "auth"):
        assert f"\n{step} " in said.out
    assert "235 2.7.0 Accepted" in said.out
    assert ("neemt de inlog" if language == "nl" else "takes the login") in said.out


def test_with_implicit_tls(authority: Authority, secret: Path) -> None:
    with Smarthost(behave(authority, tls="implicit")) as fake:
        said = log_in(fake, authority, secret, "--tls", "implicit")
        assert fake.sessions[0].tls is not None
    assert said.code == 0


def test_on_loopback_a_login_in_clear_is_what_the_relay_does_too(secret: Path) -> None:
    users = {USERNAME: PASSWORD}
    with Smarthost(Behaviour(users=users, login_without_tls=True)) as fake:
        options = ("--username", USERNAME, "--password-file", secret, "--tls", "none")
        assert run(f"127.0.0.1:{fake.port}", *options).code == 0


# --- refused ---


@pytest.mark.parametrize("reply", ["454 4.7.0 Temporary authentication failure", "535 5.7.8 no"])
def test_a_refused_login_is_never_tried_again(
    reply: str, authority: Authority, secret: Path
) -> None:
    mechanisms = ("CRAM-MD5", "LOGIN", "PLAIN")
    with Smarthost(behave(authority, {"AUTH": reply}, mechanisms=mechanisms)) as fake:
        said = log_in(fake, authority, secret)
        assert (len(fake.sessions), logins(fake)) == (1, 1)
    found = said.document
    assert (said.code, said.ids, found["accepted"]) == (1, ["login-refused"], False)
    assert found["explanation"].keys() == EXPLANATION
    assert found["explanation"]["scope"] == "account"
    assert found["mechanisms_offered"] == list(mechanisms)


def test_a_reply_of_several_lines_is_kept_whole(authority: Authority, secret: Path) -> None:
    context = authority.issue().server_context()
    with Provider("microsoft365", context, "auth-off-tenant") as fake:
        found = log_in(fake, authority, secret).document
    assert (found["reply"]["code"], found["reply"]["enhanced"]) == (535, "5.7.139")
    assert "SmtpClientAuthentication is disabled for the Tenant." in found["reply"]["text"]
    assert "FR4P281CA0188" in found["reply"]["text"]
    assert found["explanation"]["provider"] == "microsoft365"


def test_a_challenge_in_base64_is_shown_decoded(authority: Authority, secret: Path) -> None:
    context = authority.issue().server_context()
    with Provider("gmail", context, "oauth-challenge") as fake:
        said = log_in(fake, authority, secret)
    (finding,) = said.document["findings"]
    assert (said.code, finding["id"]) == (1, "login-challenged")
    said_by_server = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}
    assert finding["evidence"]["challenge"] == said_by_server
    assert said.document["explanation"] is None


@pytest.mark.parametrize("text", ["334 *", "334 Z2Vlbg==", "334 W1tbWw=="])
def test_a_challenge_that_is_no_json(text: str, authority: Authority, secret: Path) -> None:
    with Smarthost(behave(authority, {"AUTH": text})) as fake:
        assert log_in(fake, authority, secret).ids == ["login-challenged"]


@pytest.mark.parametrize(
    "reply", ["535 5.7.8 {plain} and {token} and {whole}", "235 2.7.0 {token}"]
)
def test_a_server_that_repeats_the_password(reply: str, authority: Authority, secret: Path) -> None:
    text = reply.format(
        plain=PASSWORD,
        token=base64.b64encode(PASSWORD.encode()).decode(),
        whole=base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()).decode(),
    )
    with Smarthost(behave(authority, {"AUTH": text})) as fake:
        assert "***" in log_in(fake, authority, secret).out


@pytest.mark.parametrize("reply", ["535 5.7.8 no", "235 2.7.0 yes"])
def test_a_password_typed_as_the_user_name_is_not_shown(
    reply: str, authority: Authority, secret: Path
) -> None:
    with Smarthost(behave(authority, {"AUTH": reply})) as fake:
        # `log_in` makes sure that the password is nowhere in what comes out.
        assert "***" in log_in(fake, authority, secret, "--username", PASSWORD).out


def test_a_server_that_takes_no_password(authority: Authority, secret: Path) -> None:
    with Smarthost(behave(authority, mechanisms=("XOAUTH2",))) as fake:
        said = log_in(fake, authority, secret)
        assert logins(fake) == 0
    assert (said.code, said.ids) == (1, ["no-mechanism"])
    assert said.document["mechanisms_offered"] == ["XOAUTH2"]


# --- not in clear, not to just anybody ---


def test_stripped_starttls_keeps_the_password_home(authority: Authority, secret: Path) -> None:
    with Smarthost(Behaviour(users={USERNAME: PASSWORD}, login_without_tls=True)) as fake:
        said = log_in(fake, authority, secret)
        assert logins(fake) == 0
    assert (said.code, said.ids) == (1, ["no-starttls"])


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_that_nobody_vouches_for(
    tls: str, authority: Authority, unknown_authority: Authority, secret: Path
) -> None:
    with Smarthost(behave(unknown_authority, tls=tls)) as fake:
        said = log_in(fake, authority, secret, "--tls", tls)
        assert logins(fake) == 0
    assert (said.code, said.ids) == (1, ["not-trusted"])


def test_starttls_where_tls_begins_at_once(authority: Authority, secret: Path) -> None:
    with Smarthost(behave(authority)) as fake:
        said = log_in(fake, authority, secret, "--tls", "implicit")
        assert logins(fake) == 0
    assert (said.code, said.ids) == (1, ["tls-failed"])


def test_a_public_address_without_tls_is_not_even_dialled(secret: Path) -> None:
    options = ("--username", USERNAME, "--password-file", secret, "--tls", "none", "--json")
    said = run("192.0.2.1:25", *options)
    assert (said.code, said.ids) == (1, ["in-clear"])


def test_in_the_office_a_login_in_clear_is_refused(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.smarthost.steps._is_loopback", lambda _: False)
    users = {USERNAME: PASSWORD}
    with Smarthost(Behaviour(users=users, login_without_tls=True)) as fake:
        options = ("--username", USERNAME, "--password-file", secret, "--tls", "none", "--json")
        said = run(f"127.0.0.1:{fake.port}", *options)
        assert logins(fake) == 0
    assert (said.code, said.ids) == (1, ["in-clear"])


# --- could not check ---


def test_nobody_listens(authority: Authority, secret: Path) -> None:
    fake = Smarthost()
    fake.port = free_port()
    said = log_in(fake, authority, secret)
    assert (said.code, said.document["verdict"], said.ids) == (3, "unknown", ["not-reached"])
    assert said.document["reply"] is None


def test_a_name_server_that_does_not_answer(secret: Path) -> None:
    options = ("--username", USERNAME, "--password-file", secret, "--json", "--timeout", "0.5")
    said = run("smtp.example.test", *options, "--nameserver", f"127.0.0.1:{free_port()}")
    assert (said.code, said.ids) == (3, ["not-reached"])


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "STARTTLS", "AUTH"])
def test_a_silent_server_is_left_in_time(moment: str, authority: Authority, secret: Path) -> None:
    silence = Action(wait_for=threading.Event())
    with Smarthost(behave(authority, {moment: silence})) as fake:
        said = log_in(fake, authority, secret, "--timeout", "0.4")
        assert logins(fake) <= 1
    assert (said.code, said.ids) == (3, ["not-reached"])


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "AUTH"])
def test_a_server_that_hangs_up(moment: str, authority: Authority, secret: Path) -> None:
    with Smarthost(behave(authority, {moment: Action(drop="before")})) as fake:
        said = log_in(fake, authority, secret)
        assert logins(fake) <= 1
    assert (said.code, said.ids) == (3, ["not-reached"])


ENDLESS = {
    "banner without end": {"CONNECT": Action(reply=b"220 " + b"x" * 10_000_000)},
    "ten megabytes of EHLO": {"EHLO": Action(reply=b"250-X-WORD\r\n" * 900_000 + b"250 x\r\n")},
    "no SMTP at all": {"CONNECT": Action(reply=b"HTTP/1.1 400 Bad Request\r\n\r\n")},
    "binary": {"CONNECT": Action(reply=bytes(range(256)) * 10 + b"\r\n")},
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_hostile_server(case: str, authority: Authority, secret: Path) -> None:
    with Smarthost(behave(authority, ENDLESS[case])) as fake:
        said = log_in(fake, authority, secret)
        assert logins(fake) == 0
    assert (said.code, said.ids) == (3, ["not-reached"])


def test_escape_sequences_are_not_shown(authority: Authority, secret: Path) -> None:
    reply = "535 5.7.8 \x1b[31mrood\x07 \x1b]0;titel\x07"
    with Smarthost(behave(authority, {"AUTH": reply})) as fake:
        said = log_in(fake, authority, secret)
    assert (said.code, said.ids) == (1, ["login-refused"])
    assert "rood" in said.out


def test_a_preset_that_takes_tokens_only(secret: Path) -> None:
    said = run("outlook-com", "--username", "bakker@outlook.com", "--json")
    assert (said.code, said.ids) == (3, ["oauth2"])


# --- the password ---


def test_it_is_asked_for_once_where_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(prompt: str, stream: object) -> str:
        asked.append(prompt)
        return PASSWORD

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", ask)
    run_ = Run(Circumstances(language="nl"), as_json=False, strict=False, started=0)
    chosen = from_server("ziggo", Login(USERNAME), None, run_)
    assert chosen.smarthost.password is not None
    assert chosen.smarthost.password.read() == PASSWORD
    assert PASSWORD not in repr(chosen)
    assert asked == [f"Wachtwoord van {USERNAME}: "]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("ziggo",),
        ("ziggo", "--username", "x"),
        ("ziggo", "--username", "x", "--password-file", "/nowhere/isp.secret"),
        ("ziggo", "--config", "/nowhere/relay.toml"),
        ("--config", "/nowhere/relay.toml"),
        ("--config", "/nowhere/relay.toml", "--username", "x"),
        ("a b", "--username", "x"),
        ("ziggo", "--username", "x", "--tls", "perhaps"),
        ("ziggo", "--username", "x", "--password", "y"),
    ],
)
def test_wrong_usage_is_exit_2_and_no_document(arguments: tuple[str, ...]) -> None:
    said = run(*arguments, "--json")
    assert (said.code, said.out) == (2, "")
    assert said.err


def test_a_password_that_others_can_read_is_not_used(secret: Path) -> None:
    secret.chmod(0o644)
    said = run("ziggo", "--username", "x", "--password-file", secret, "--lang", "en")
    assert said.code == 2
    assert "chmod" in said.err


# --- the relay's configuration ---


@contextmanager
def configured(tmp_path: Path, authority: Authority, fake: Smarthost) -> Iterator[RelayFile]:
    relay = RelayFile(tmp_path)
    login = {"username": USERNAME, "password": PASSWORD}
    relay.add_smarthost(fake.port, authority.ca_file, preset="kpn", **login)
    relay.write_config()
    yield relay


def test_a_smarthost_of_the_relay(tmp_path: Path, authority: Authority) -> None:
    with Smarthost(behave(authority)) as fake, configured(tmp_path, authority, fake) as relay:
        said = run("--config", relay.config, "--smarthost", "isp", "--json", "--lang", "en")
        assert logins(fake) == 1
        assert fake.sessions[0].commands[0] == "EHLO relay.test"
    assert (said.code, said.ids) == (0, ["config-joined", "login-accepted"])
    assert str(relay.config) in said.document["findings"][0]["title"]
    assert said.document["target"] == "isp"


def test_its_preset_explains_the_refusal(tmp_path: Path, authority: Authority) -> None:
    context = authority.issue().server_context()
    with (
        Provider("kpn", context, "wrong-credentials") as fake,
        configured(tmp_path, authority, fake) as relay,
    ):
        said = run("--config", relay.config, "--json", "--lang", "nl")
    assert said.code == 1
    assert said.document["explanation"]["provider"] == "kpn"
    assert any("MijnKPN" in step for step in said.document["explanation"]["steps"])


@pytest.mark.parametrize("name", ["nergens", None])
def test_which_smarthost_must_be_clear(
    name: str | None, tmp_path: Path, authority: Authority
) -> None:
    relay = RelayFile(tmp_path)
    for each in ("isp", "reserve"):
        relay.add_smarthost(25, authority.ca_file, name=each)
    relay.write_config()
    chosen = () if name is None else ("--smarthost", name)
    said = run("--config", relay.config, *chosen, "--lang", "en")
    assert said.code == 2
    assert "isp, reserve" in said.err


# --- a real server ---


@needs("postfix", "saslpasswd2", "sasl-plain")
def test_at_a_real_postfix(authority: Authority, tmp_path: Path) -> None:
    secret = tmp_path / "postfix.secret"
    secret.touch(0o600)
    with Postfix(authority.issue()) as postfix:
        where = (f"127.0.0.1:{postfix.port}", "--ca-file", authority.ca_file, "--json")
        options = ("--username", "bakker", "--password-file", secret, "--lang", "en")
        secret.write_text("geheim")
        right = run(*where, *options)
        secret.write_text("fout")
        wrong = run(*where, *options)
        log = postfix.log()
    assert (right.code, right.document["reply"]["code"]) == (0, 235)
    assert right.document["mechanisms_offered"] == ["PLAIN", "LOGIN"]
    assert (wrong.code, wrong.document["reply"]["code"]) == (1, 535)
    assert wrong.document["explanation"]["cause"] == "wrong-password"
    assert log.count("authentication failed") == 1


# --- texts ---


@pytest.mark.parametrize("topic", ["accounts", "auth", "send"])
def test_both_languages_say_the_same(topic: str) -> None:
    for id_, entry in texts(topic).items():
        pairs = [entry] if "nl" in entry else [each for each in entry.values() if "nl" in each]
        for pair in pairs:
            nl, en = (_lines(pair[language]) for language in ("nl", "en"))
            assert len(nl) == len(en), id_
            assert _places(nl) == _places(en), id_
            assert nl != en or nl[0].startswith("{"), id_


def _lines(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _places(lines: list[str]) -> set[str | None]:
    return {name for line in lines for _, name, _, _ in string.Formatter().parse(line)}
