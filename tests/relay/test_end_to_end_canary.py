"""No secret leaves the place where it belongs, whatever servers, clients and faults do with it."""

import base64
import contextlib
import re
import stat
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fakes.canary import Canary, forms, leaks
from fakes.certificates import Authority
from fakes.consented import add_consented
from fakes.issuer import Answer, Fault, Issuer
from fakes.nameserver import NameServer
from fakes.prepared_relay import PreparedRelay
from fakes.script import Action, Behaviour, Command
from fakes.smarthost import Smarthost
from typer.testing import CliRunner

from diagnose import cli
from relay.spool.vault import tokens_file

# Letters that base64, URLs, HTML, JSON and quoted-printable write otherwise.
AWKWARD = "~?>&+/=%<é"
PASSWORD = f"CANARY-pw-{AWKWARD}"
ENVIRONMENT = f"CANARY-env-{AWKWARD}"
CLIENT_PASSWORD = f"CANARY-device-{AWKWARD}"
APP_SECRET = "CANARY-app~secret.+/=%&"
VARIABLE = "POISON_PASSWORD"
SENDER = "info@mijnbakkerij.nl"
CLIENTS = """
[[client]]
name = "kassa"
networks = ["127.0.0.1"]

[[client]]
name = "scanner"
networks = ["127.0.0.2"]
any_login = true

[[route]]
recipient = "*@token.example"
smarthost = ["isp"]

[[route]]
recipient = "*@poison.example"
smarthost = ["poison"]

[[route]]
smarthost = ["mailbox"]
"""
# A fault of ours while the password is at hand.
FAULT = """
import aiosmtplib
plain = aiosmtplib.SMTP.auth_plain
async def faulty(self, username, password):
    if username == "poison":
        raise RuntimeError("a fault of ours")
    return await plain(self, username, password)
aiosmtplib.SMTP.auth_plain = faulty
"""


class CanaryIssuer(Issuer):
    """Its tokens are canaries; while `echoes`, it refuses and repeats what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.client_secret = APP_SECRET
        self.echoes: int | None = None
        self._numbers = count(1)

    def give_access(self, username: str, scopes: tuple[str, ...]) -> str:
        token = super().give_access(username, scopes)
        return self._renamed(self.access, token, "access")

    def give_refresh(self, username: str, scopes: tuple[str, ...]) -> str:
        token = super().give_refresh(username, scopes)
        return self._renamed(self.refresh, token, "refresh")

    def answer(self, path: str, form: dict[str, str], posted: bool) -> Fault:
        found = super().answer(path, form, posted)
        if self.echoes is None or "refresh_token" not in form:
            return found
        said = " ".join(
            shape for name in ("refresh_token", "client_secret") for shape in echoed(form[name])
        )
        body = {"error": "invalid_grant", "error_description": f"AADSTS70000: {said}"}
        return Fault(answer=Answer(self.echoes, body))

    def _renamed(self, book: dict[str, Any], token: str, kind: str) -> str:
        canary = f"CANARY-{kind}{next(self._numbers)}-{token}+/=~"
        book[canary] = book.pop(token)
        return canary


def echoed(secret: str) -> list[str]:
    """Every form, as a server may repeat it in one line."""
    whole = base64.b64encode(f"\0bakker\0{secret}".encode()).decode()
    return [*(form.decode() for form in forms(secret).values()), whole, quote(whole, safe="")]


def echoing(code: str, secret: str) -> str:
    *first, last = echoed(secret)
    return "\n".join([*(f"{code}-{each}" for each in first), f"{code} {last}"])


def repeats_token(command: Command) -> Action:
    token = base64.b64decode(command.argument.split()[1]).decode().split("Bearer ")[1].strip("\x01")
    return Action(reply=echoing("535", token))


class CanaryRelay(PreparedRelay):
    """Meets a fault of its own, talks as much as it can, and has a secret in its environment."""

    preparation = (FAULT,)

    def __init__(self, directory: Path, tables: str) -> None:
        super().__init__(directory, tables)
        self.environment = {"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"}

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), VARIABLE: ENVIRONMENT}


class Bakery:
    """A relay with a password, one from the environment, and an account with tokens."""

    def __init__(self, directory: Path, authority: Authority, issuer: CanaryIssuer) -> None:
        self.issuer = issuer
        context = authority.issue().server_context()
        users = {"bakker": PASSWORD, "poison": ENVIRONMENT}
        self.mailbox = Smarthost(Behaviour(tls="starttls", context=context, users=users))
        self.token_box = Smarthost(
            Behaviour(
                tls="starttls",
                context=context,
                users={issuer.username: "-"},
                mechanisms=("XOAUTH2",),
                user_of=issuer.user_of,
            )
        )
        self.authority = authority
        self.relay = CanaryRelay(directory, CLIENTS)
        self.names = NameServer("mijnbakkerij.nl. 60 IN A 192.0.2.1")
        self.places: dict[str, str | bytes] = {}

    def configure(self) -> None:
        relay, issuer = self.relay, self.issuer
        relay.add_smarthost(
            self.mailbox.port, self.authority.ca_file, name="mailbox", password=PASSWORD
        )
        relay.tables += f"""
[[smarthost]]
name = "poison"
host = "127.0.0.1"
port = {self.mailbox.port}
tls = "starttls"
ca_file = "{self.authority.ca_file}"
auth = "password"
username = "poison"
password = {{ env = "{VARIABLE}" }}
"""
        app = relay.secret("app", APP_SECRET)
        consented_at = datetime.now(UTC) - timedelta(days=3)
        add_consented(relay, self.token_box.port, self.authority.ca_file, issuer, consented_at)
        relay.tables += f'client_secret = {{ file = "{app}" }}\n'

    def send(self, domain: str, source: str | None = None) -> None:
        content = f"From: <{SENDER}>\r\nSubject: x\r\n\r\nx\r\n".encode()
        self.relay.send(SENDER, [f"klant@{domain}"], content, source)

    def run(self, *arguments: str) -> None:
        """A command of the relay; its exit code is not the point here."""
        done = self.relay.run(*arguments)
        assert done.code in (0, 1, 3, 70), (arguments, done)

    def diagnose(self, *arguments: str) -> None:
        done = CliRunner().invoke(cli.app, [*arguments, "--nameserver", self.names.address])
        assert done.exit_code in (0, 1, 3), (arguments, done.output, done.exception)
        self.places[f"diagnose {' '.join(arguments)}"] = done.stdout + done.stderr

    def api(self, path: str) -> None:
        token = self.relay.spool.with_name("control.token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.relay.web_port}/api/v1{path}",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.places[f"API {path}"] = answer.read()

    def canaries(self) -> list[Canary]:
        """What may be found nowhere, tokens that were given out meanwhile included."""
        given = {PASSWORD, ENVIRONMENT, CLIENT_PASSWORD, APP_SECRET}
        return [Canary(each) for each in given | {*self.issuer.access, *self.issuer.refresh}]


@pytest.fixture
def bakery(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bakery]:
    monkeypatch.setenv(VARIABLE, ENVIRONMENT)
    with CanaryIssuer() as issuer:
        bakery = Bakery(tmp_path, authority, issuer)
        with bakery.mailbox, bakery.token_box, bakery.names:
            bakery.configure()
            yield bakery


def use_everything(bakery: Bakery) -> None:
    """Every command and every document, while the accounts are as they are."""
    relay, directory = bakery.relay, bakery.relay.directory
    waiting = [each["id"] for each in relay.queue()]
    assert len(waiting) == 3
    bakery.run("check", "--online", "--force")
    bakery.run("check", "--online", "--force", "--json")
    for command in (
        ("account", "list"),
        ("status",),
        ("queue", "list"),
        ("why", "127.0.0.1", SENDER),
    ):
        bakery.run(*command)
    bakery.run("queue", "export", "--all", "--to", str(directory / "export"))
    for each in waiting:
        bakery.run("queue", "show", each)
        bakery.api(f"/queue/{each}")
        bakery.api(f"/queue/{each}/message")
    for path in ("/queue", "/accounts", "/status", "/clients", "/clients/refused", "/senders"):
        bakery.api(path)
    config = ("--config", str(relay.config), "--timeout", "2")
    for smarthost in ("mailbox", "isp"):
        bakery.diagnose("auth", *config, "--smarthost", smarthost, "--force")
    html, markdown = (directory / f"report.{kind}" for kind in ("html", "md"))
    bakery.diagnose("report", *config, "--json")
    bakery.diagnose("report", *config, "--html", str(html), "--markdown", str(markdown))


def devices_log_in(bakery: Bakery) -> None:
    """A till that logs in where nobody asked it to, and a scanner that insists."""
    name, word = (base64.b64encode(each.encode()).decode() for each in ("kassa", CLIENT_PASSWORD))
    plain = base64.b64encode(f"\0kassa\0{CLIENT_PASSWORD}".encode()).decode()
    for source in (None, "127.0.0.2"):
        for lines in (("AUTH LOGIN", name, word), (f"AUTH PLAIN {plain}",), (f"AUTH X {word}",)):
            with bakery.relay.connect(source) as client:
                client.reply()
                for line in ("EHLO kassa", *lines):
                    reply = client.command(line)
                    assert Canary(CLIENT_PASSWORD).forms_in(reply) == []
        bakery.send("example.net", source)


def process_list(relay: CanaryRelay) -> bytes:
    """The command lines of all processes, the relay's among them."""
    lines = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(each.read_bytes())
    assert any(str(relay.config).encode() in line for line in lines)
    return b"\n".join(lines)


def test_no_secret_is_anywhere_but_in_its_place(bakery: Bakery) -> None:
    relay, mailbox, token_box, issuer = (
        *(bakery.relay, bakery.mailbox, bakery.token_box),
        bakery.issuer,
    )
    # Logins that work, at a server that repeats the password all the same.
    mailbox.behaviour.script = {"AUTH": echoing("235", PASSWORD)}
    with relay:
        devices_log_in(bakery)
        bakery.send("token.example")
        mailbox.wait_for(2)
        token_box.wait_for(1)
        for name in ("mailbox", "isp"):
            bakery.run("account", "test", name)
        bakery.run("check", "--online")
        bakery.places["process list"] = process_list(relay)
        # Logins that are refused, by servers and by an issuer that repeat what they were sent.
        for box in (mailbox, token_box):
            box.stop()
        mailbox.behaviour.script = {"AUTH": echoing("535", PASSWORD)}
        token_box.behaviour.script = {"AUTH": repeats_token}
        token_box.behaviour.user_of = lambda _: None
        token_box.behaviour.token_challenge = " ".join(echoed([*issuer.access][-1]))
        for box in (mailbox, token_box):
            box.start()
        bakery.send("example.net")
        bakery.send("token.example")
        bakery.send("poison.example")
        relay.wait_until(
            lambda: {one["smarthost"] for one in relay.log_events("paused")} >= {"mailbox", "isp"}
        )
        use_everything(bakery)
        for status in (400, 503):
            issuer.echoes = status
            issuer.expire()
            bakery.run("account", "test", "isp", "--force")
            bakery.run("account", "list")
        bakery.run("account", "test", "poison")
        relay.wait_until(lambda: "a fault of ours" in relay.stderr)
        assert relay.sigterm() == 0
    search(bakery)


ALLOWED = """
import resource
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
"""


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    relay = PreparedRelay(
        tmp_path, '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"'
    )
    relay.preparation = (ALLOWED,)
    with relay:
        (soft,) = re.findall(r"^Max core file size +(\S+)", relay.limits(), re.MULTILINE)
        assert soft == "0"


def search(bakery: Bakery) -> None:
    """Everywhere; and that the search finds what there is to find, and the servers did repeat."""
    relay, canaries = bakery.relay, bakery.canaries()
    kept = {relay.directory / "mailbox.secret", relay.directory / "app.secret"}
    vault = tokens_file(relay.spool)
    files = {path for path in relay.directory.rglob("*") if path.is_file()}
    places = bakery.places | {"log": relay.stderr, "commands": "\n".join(relay.answers)}
    places |= {path.name: path.read_bytes() for path in files - kept - {vault}}
    assert len(places) > 25
    assert leaks(canaries, places) == []
    for path in kept | {vault}:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert leaks(canaries, {path.name: path.read_bytes()})
    # The servers did repeat what they were sent, and that reached these places.
    spooled = (relay.directory / relay.spool.name).read_bytes()
    for place in (relay.stderr, "".join(relay.answers), spooled.decode("latin-1")):
        assert "***" in place
    assert '"traceback"' in relay.stderr
