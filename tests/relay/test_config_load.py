"""A whole configuration as the relay gets it, and what a change to it needs."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from fakes.certificates import Authority

from relay.config.load import differences, load
from relay.config.model import (
    Alarm,
    Client,
    Config,
    Delivery,
    DeliveryMode,
    Listener,
    NullSender,
    PolicyKind,
    Route,
    SenderPolicy,
    TlsMode,
    Web,
)
from relay.config.secret import SecretRef

SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "mail.example.net"\n'
ENVIRON = {"PW": "geheim", "HOME": "/nonexistent", "STATE_DIRECTORY": "/var/lib/my relay%"}


def read(path: Path, text: str) -> Config:
    file = path / "relay.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, ENVIRON)


def test_every_key_arrives(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue()
    text = f"""
language = "nl"
hostname = "relay.mijnbakkerij.nl"
postmaster = "beheer@mijnbakkerij.nl"
[spool]
url = "sqlite:///srv/mail%20spool/x.db"
lifetime = "2d"
reserve_bytes = 0
history = "0d"
statistics = "31d"
refused = "36h"
keep_subjects = true
[[listener]]
address = "[::]:25"
tls = "starttls"
certificate = "{pair.chain}"
key = "{pair.key}"
min_tls = "1.3"
max_connections = 10
max_message_bytes = 1000
max_recipients = 5
[[listener]]
address = "localhost:0"
[[client]]
name = "kassa"
networks = ["192.168.1.20", "192.168.1.64/26", "::ffff:10.0.0.0/104", "fd00::/8"]
any_login = true
require_tls = true
max_connections = 5
max_message_bytes = 6
messages_per_minute = 7
sender = {{ policy = "force", address = "a@b.nl", bcc = ["c@d.nl"] }}
[[client]]
networks = ["0.0.0.0/0"]
open = true
[[smarthost]]
name = "isp"
host = "mail.example.net"
ca_file = "{authority.ca_file}"
client_certificate = "{pair.chain}"
client_key = "{pair.key}"
[[route]]
sender = "*@mijnbakkerij.nl"
client = "kassa"
recipient = "a@b.nl"
smarthost = ["isp"]
[[route]]
client = "client-1"
sender = {{ bcc = ["c@d.nl"] }}
smarthost = ["isp"]
[sender]
policy = "rewrite"
address = "x@y.nl"
[delivery]
mode = "hold"
direct_wait = "3s"
warn_after = "1w"
null_sender = "account"
[web]
address = "[::1]:8026"
enabled = false
hosts = ["relay.lan"]
"""
    config = read(tmp_path, text)
    assert config.warnings == ()
    assert config.path == tmp_path / "relay.toml"
    assert (config.language, config.hostname) == ("nl", "relay.mijnbakkerij.nl")
    assert config.postmaster == "beheer@mijnbakkerij.nl"
    assert config.spool.path == Path("/srv/mail spool/x.db")
    assert (config.spool.lifetime, config.spool.history) == (timedelta(days=2), timedelta(0))
    assert config.spool.statistics == timedelta(days=31)
    assert config.spool.refused == timedelta(hours=36)
    assert (config.spool.reserve_bytes, config.spool.keep_subjects) == (0, True)
    assert config.listeners == (
        Listener("::", 25, TlsMode.STARTTLS, pair.chain, pair.key, "1.3", (), 10, 1000, 5),
        Listener("localhost", 0),
    )
    nets = map(ip_network, ("192.168.1.20", "192.168.1.64/26", "10.0.0.0/8", "fd00::/8"))
    policy = SenderPolicy(PolicyKind.FORCE, "a@b.nl", ("c@d.nl",))
    assert config.clients == (
        Client("kassa", tuple(nets), True, True, 5, 6, 7, policy),
        Client("client-1", (ip_network("0.0.0.0/0"),)),
    )
    smarthost = config.smarthost("isp")
    assert smarthost.ca_file == authority.ca_file
    assert (smarthost.client_certificate, smarthost.client_key) == (pair.chain, pair.key)
    assert config.routes == (
        Route("*@mijnbakkerij.nl", "kassa", "a@b.nl", ("isp",)),
        Route(None, "client-1", None, ("isp",), SenderPolicy(bcc=("c@d.nl",))),
    )
    assert config.sender == SenderPolicy(PolicyKind.REWRITE, "x@y.nl")
    assert config.delivery == Delivery(
        DeliveryMode.HOLD, timedelta(seconds=3), timedelta(weeks=1), NullSender.ACCOUNT
    )
    assert config.web == Web(False, "::1", 8026, ("relay.lan",))
    with pytest.raises(KeyError):
        config.smarthost("other")


def test_every_key_has_a_default(tmp_path: Path) -> None:
    config = read(tmp_path, SMARTHOST)
    assert config.listeners == (Listener("127.0.0.1", 2525),)
    assert (config.clients, config.routes, config.sender) == ((), (), SenderPolicy())
    assert (config.delivery, config.web, config.sandbox) == (Delivery(), Web(), False)
    assert config.spool.url == "sqlite:///var/lib/my%20relay%25/spool.db"
    assert config.spool.path == Path("/var/lib/my relay%/spool.db")
    assert config.spool.lifetime == timedelta(days=5)
    kept = (config.spool.history, config.spool.statistics, config.spool.refused)
    assert kept == (timedelta(days=30), timedelta(days=400), timedelta(days=90))
    assert config.warnings == ()


def test_an_open_network_is_open_only_where_it_says_so(tmp_path: Path) -> None:
    networks = 'networks = ["8.8.8.0/24", "2a02::/56", "10.0.0.0/8", "fd00::/8", "127.0.0.0/8"]'
    assert len(read(tmp_path, f"[[client]]\n{networks}\n{SMARTHOST}").clients[0].networks) == 5


def test_a_file_of_notepad_is_read(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMARTHOST.replace("\n", "\r\n").encode())
    assert load(file, ENVIRON).smarthosts[0].host == "mail.example.net"


def test_what_is_off_or_built_does_not_warn(tmp_path: Path) -> None:
    text = """[[listener]]
proxy_protocol = ["10.0.0.0/8", "::ffff:192.168.1.5", "203.0.113.0/24"]
[web]
show_bodies = false
[delivery]
mode = "direct"
"""
    assert read(tmp_path, text + SMARTHOST + "messages_per_minute = 3\n").warnings == ()


def test_a_password_for_a_file_warns(tmp_path: Path) -> None:
    secret = tmp_path / "spool.secret"
    secret.touch(0o600)
    secret.write_text("geheim")
    text = f'[spool]\npassword = {{ file = "{secret}" }}\n{SMARTHOST}'
    (warning,) = read(tmp_path, text).warnings
    assert (warning.line, warning.key) == (2, "spool.password")


def test_a_spool_in_postgresql_has_a_place_for_what_is_this_machines_own(tmp_path: Path) -> None:
    text = f'[spool]\nurl = "postgresql://relay@db/mail"\n{SMARTHOST}'
    (tmp_path / "relay.toml").write_text(text)
    spool = load(tmp_path / "relay.toml", {"STATE_DIRECTORY": "/var/lib/relay-b"}).spool
    assert spool.path is None
    assert spool.beside == Path("/var/lib/relay-b/spool")
    assert spool.name == "postgresql://relay@db/mail"


def test_an_address_without_a_policy_to_use_it_warns(tmp_path: Path) -> None:
    (warning,) = read(tmp_path, f'[sender]\naddress = "a@b.nl"\n{SMARTHOST}').warnings
    assert (warning.line, warning.key) == (2, "sender.address")


def test_a_certificate_without_tls_warns(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue()
    text = f'[[listener]]\ncertificate = "{pair.chain}"\nkey = "{pair.key}"\n{SMARTHOST}'
    assert [warning.key for warning in read(tmp_path, text).warnings] == ["listener[0].certificate"]


def test_a_client_local_exists_for_routes_where_no_other_does(tmp_path: Path) -> None:
    text = f'{SMARTHOST}[[route]]\nclient = "local"\nsmarthost = ["isp"]\n'
    assert read(tmp_path, text).routes[0].client == "local"


def test_only_addresses_and_the_spool_need_a_restart(tmp_path: Path) -> None:
    old = read(tmp_path, SMARTHOST)
    assert differences(old, replace(old, smarthosts=(), language="nl", clients=())) == ()
    new = replace(
        old,
        spool=replace(
            old.spool, url="sqlite:///x", path=Path("/x"), secret_key=SecretRef("env", "KEY")
        ),
        listeners=(Listener("127.0.0.1", 25),),
        web=replace(old.web, enabled=False, port=1),
    )
    assert differences(old, new) == (
        "spool.url",
        "spool.secret_key",
        "listener.address",
        "web.enabled",
        "web.address",
    )
    reordered = replace(old, listeners=(Listener("::1", 1), Listener("::1", 2)))
    assert differences(reordered, replace(old, listeners=reordered.listeners[::-1])) == ()


def test_bare_headings_of_a_sample_file_only_warn(tmp_path: Path) -> None:
    config = read(
        tmp_path, SMARTHOST + 'auth = "none"\n' + "[smarthost.oauth2]\n[[dkim]]\n[[alarm]]\n"
    )
    assert (config.dkim, config.alarms) == ((), ())
    assert {warning.key for warning in config.warnings} >= {"dkim[0]", "alarm[0]"}


ALARMS = """
[[alarm]]
webhook = "http://192.168.1.5:8080/hook"
command = ["/usr/bin/logger", "-t", "relay"]
[[alarm]]
mail_to = "beheer@mijnbakkerij.nl"
smarthost = "isp"
"""


def test_alarms_have_an_effect_and_no_warning(tmp_path: Path) -> None:
    config = read(tmp_path, SMARTHOST + 'auth = "none"\n' + ALARMS)
    assert config.alarms == (
        Alarm("http://192.168.1.5:8080/hook", command=("/usr/bin/logger", "-t", "relay")),
        Alarm(mail_to="beheer@mijnbakkerij.nl", smarthost="isp"),
    )
    assert not [each for each in config.warnings if each.key.startswith("alarm")]


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ('mail_to = "b@a.nl"', "alarm[0]", "goes only by the smarthost"),
        ('syslog = true\nsmarthost = "isp"', "alarm[0].smarthost", "no effect without mail_to"),
    ],
)
def test_an_alarm_that_may_not_come_through_warns(
    tmp_path: Path, table: str, key: str, words: str
) -> None:
    config = read(tmp_path, SMARTHOST + 'auth = "none"\n' + f"[[alarm]]\n{table}\n")
    (warning,) = [each for each in config.warnings if each.key.startswith("alarm")]
    assert warning.key == key
    assert words in warning.en
