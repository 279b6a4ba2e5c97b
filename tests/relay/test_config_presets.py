"""A preset fills in what the file leaves out, and nothing that it says."""

from pathlib import Path

import pytest

from presets.catalog import catalog
from relay.config.fault import ConfigError, Fault
from relay.config.load import load
from relay.config.model import AuthMethod, Smarthost, TlsMode

ENVIRON = {"PW": "geheim", "HOME": "/nonexistent"}
LOGIN = 'username = "bakker@mijnbakkerij.nl"\npassword = { env = "PW" }\n'


def smarthost(path: Path, keys: str) -> tuple[Smarthost, list[Fault]]:
    file = path / "relay.toml"
    file.write_text(f'[[smarthost]]\nname = "isp"\n{keys}\n', encoding="utf-8")
    config = load(file, ENVIRON)
    return config.smarthost("isp"), list(config.warnings)


def fault(path: Path, keys: str) -> Fault:
    with pytest.raises(ConfigError) as caught:
        smarthost(path, keys)
    (only,) = caught.value.faults
    return only


def test_the_ziggo_preset_fills_in_server_and_login(tmp_path: Path) -> None:
    host, warnings = smarthost(tmp_path, f'preset = "ziggo"\n{LOGIN}')
    assert (host.preset, host.host, host.port) == ("ziggo", "smtp.ziggo.nl", 587)
    assert host.tls is TlsMode.STARTTLS
    assert host.auth is AuthMethod.PASSWORD
    assert host.mechanisms == ("PLAIN", "LOGIN")
    assert host.account == ("smtp.ziggo.nl", "bakker@mijnbakkerij.nl")
    assert host.allowed_senders == ("*",)  # Ziggo takes any sender after the login
    assert warnings == []


def test_a_server_in_capitals_is_the_same_account(tmp_path: Path) -> None:
    host, _ = smarthost(tmp_path, f'host = "SMTP.Ziggo.NL"\n{LOGIN}')
    assert host.account == ("smtp.ziggo.nl", "bakker@mijnbakkerij.nl")


def test_a_port_alone_takes_its_tls_from_the_preset(tmp_path: Path) -> None:
    host, _ = smarthost(tmp_path, f'preset = "ziggo"\nport = 465\n{LOGIN}')
    assert (host.port, host.tls) == (465, TlsMode.IMPLICIT)


def test_tls_alone_takes_its_port_from_the_preset(tmp_path: Path) -> None:
    host, _ = smarthost(tmp_path, f'preset = "ziggo"\ntls = "implicit"\n{LOGIN}')
    assert (host.port, host.tls) == (465, TlsMode.IMPLICIT)


def test_tls_that_the_preset_has_no_port_for_needs_one(tmp_path: Path) -> None:
    found = fault(tmp_path, f'preset = "delta-caiway"\ntls = "starttls"\n{LOGIN}')
    assert found.key == "smarthost[0].port"
    host, _ = smarthost(tmp_path, f'preset = "delta-caiway"\ntls = "starttls"\nport = 587\n{LOGIN}')
    assert (host.port, host.tls) == (587, TlsMode.STARTTLS)


def test_a_port_that_the_preset_does_not_know_needs_tls(tmp_path: Path) -> None:
    found = fault(tmp_path, f'preset = "ziggo"\nport = 2525\n{LOGIN}')
    assert found.key == "smarthost[0].tls"
    assert "465, 587" in found.en
    host, _ = smarthost(tmp_path, f'preset = "ziggo"\nport = 2525\ntls = "starttls"\n{LOGIN}')
    assert (host.host, host.port, host.tls) == ("smtp.ziggo.nl", 2525, TlsMode.STARTTLS)


def test_the_keys_of_the_file_override_the_preset(tmp_path: Path) -> None:
    keys = """preset = "microsoft365"
host = "127.0.0.1"
port = 2500
tls = "none"
allowed_senders = ["*@mijnbakkerij.nl"]
max_connections = 7
messages_per_minute = 9
max_recipients = 3
"""
    host, _ = smarthost(tmp_path, keys + LOGIN)
    assert (host.host, host.port, host.tls) == ("127.0.0.1", 2500, TlsMode.NONE)
    assert host.allowed_senders == ("*@mijnbakkerij.nl",)
    assert (host.max_connections, host.messages_per_minute, host.max_recipients) == (7, 9, 3)


def test_limits_come_from_the_preset(tmp_path: Path) -> None:
    host, _ = smarthost(tmp_path, f'preset = "microsoft365"\n{LOGIN}')
    preset = catalog().get("microsoft365")
    assert host.messages_per_minute == preset.limit("messages_per_minute") == 30
    assert host.recipients_per_day == preset.limit("recipients_per_day") == 10_000
    assert host.max_recipients == preset.limit("recipients_per_message") == 500
    assert host.max_connections == 2  # the preset allows 3


def test_what_no_preset_says_has_a_default(tmp_path: Path) -> None:
    host, warnings = smarthost(tmp_path, 'host = "mail.example.net"')
    assert (host.port, host.tls, host.auth) == (587, TlsMode.STARTTLS, AuthMethod.NONE)
    assert (host.max_connections, host.max_recipients) == (2, 100)
    assert (host.messages_per_minute, host.messages_per_day) == (None, None)
    assert host.account is None
    assert host.allowed_senders == ("*",)
    assert warnings == []
    assert smarthost(tmp_path, 'host = "a.nl"\nport = 465')[0].tls is TlsMode.IMPLICIT
    assert smarthost(tmp_path, 'host = "a.nl"\ntls = "implicit"')[0].port == 465
    assert smarthost(tmp_path, 'host = "[::1]"\ntls = "none"')[0].host == "::1"


@pytest.mark.parametrize(
    ("preset", "senders"),
    [
        ("microsoft365", ("bakker@mijnbakkerij.nl",)),  # must match
        ("gmail", ("bakker@mijnbakkerij.nl",)),  # rewritten by the server
        ("hostnet", ("bakker@mijnbakkerij.nl",)),  # nothing is known
        ("brevo", ("*",)),  # need not match
    ],
)
def test_who_the_account_may_send_as_follows_the_sender_rule(
    tmp_path: Path, preset: str, senders: tuple[str, ...]
) -> None:
    assert smarthost(tmp_path, f'preset = "{preset}"\n{LOGIN}')[0].allowed_senders == senders


def test_a_username_that_is_no_address_cannot_be_the_only_sender(tmp_path: Path) -> None:
    keys = 'preset = "hostnet"\nusername = "bakker"\npassword = { env = "PW" }'
    host, warnings = smarthost(tmp_path, keys)
    assert host.allowed_senders == ("*",)
    assert [warning.key for warning in warnings] == ["smarthost[0].allowed_senders"]


@pytest.mark.parametrize("name", ["upc", "UPC", "smtp.upcmail.nl"])
def test_a_merged_name_means_its_successor_and_warns(tmp_path: Path, name: str) -> None:
    host, warnings = smarthost(tmp_path, f'preset = "{name}"\n{LOGIN}')
    assert (host.preset, host.host) == ("ziggo", "smtp.ziggo.nl")
    (warning,) = warnings
    assert (warning.key, warning.line) == ("smarthost[0].preset", 3)
    assert "Ziggo" in warning.nl
    assert "Ziggo" in warning.en


def test_an_unknown_preset_names_the_nearest_and_nothing_else(tmp_path: Path) -> None:
    found = fault(tmp_path, f'preset = "zigo"\n{LOGIN}')
    assert (found.key, found.line) == ("smarthost[0].preset", 3)
    assert "ziggo" in found.nl
    assert "ziggo" in found.en


def test_a_blank_in_the_preset_s_host_is_to_be_filled_in(tmp_path: Path) -> None:
    found = fault(tmp_path, f'preset = "vimexx"\n{LOGIN}')
    assert found.key == "smarthost[0].host"
    assert "web<NNNN>.zxcs.nl" in found.nl
    assert (
        fault(tmp_path, f'preset = "vimexx"\nhost = "web<NNNN>.zxcs.nl"\n{LOGIN}').key
        == "smarthost[0].host"
    )
    host, _ = smarthost(tmp_path, f'preset = "vimexx"\nhost = "web0123.zxcs.nl"\n{LOGIN}')
    assert (host.host, host.port, host.tls) == ("web0123.zxcs.nl", 465, TlsMode.IMPLICIT)


def test_a_preset_named_by_its_server_has_its_blank_filled_in(tmp_path: Path) -> None:
    host, warnings = smarthost(tmp_path, f'preset = "Web0123.zxcs.nl"\n{LOGIN}')
    assert (host.preset, host.host, host.port) == ("vimexx", "web0123.zxcs.nl", 465)
    assert warnings == []
    written = 'preset = "web0123.zxcs.nl"\nhost = "web0124.zxcs.nl"\n'
    assert smarthost(tmp_path, written + LOGIN)[0].host == "web0124.zxcs.nl"


def test_a_provider_that_asks_for_a_login_is_warned_about(tmp_path: Path) -> None:
    assert [warning.key for warning in smarthost(tmp_path, 'preset = "ziggo"')[1]] == [
        "smarthost[0].username"
    ]
    assert smarthost(tmp_path, 'preset = "google-smtp-relay"')[1] == []


def test_a_password_where_only_oauth2_is_taken_is_warned_about(tmp_path: Path) -> None:
    warnings = smarthost(tmp_path, f'preset = "outlook-com"\n{LOGIN}')[1]
    assert "smarthost[0].password" in [warning.key for warning in warnings]


@pytest.mark.parametrize(
    ("host", "login", "verdict"),
    [
        ("127.0.0.1", LOGIN, "good"),
        ("localhost", LOGIN, "good"),
        ("::1", LOGIN, "good"),
        ("::ffff:127.0.0.1", LOGIN, "good"),
        ("192.168.1.5", LOGIN, "error"),
        ("192.168.1.5", "", "warning"),
        ("fd00::1", "", "warning"),
        ("exchange", "", "warning"),
        ("mail.kantoor.lan", "", "warning"),
        ("mail.mijnbakkerij.nl", "", "error"),
        ("8.8.8.8", "", "error"),
        ("::ffff:8.8.8.8", "", "error"),
    ],
)
def test_without_tls_a_login_stays_here_and_mail_inside_the_office(
    tmp_path: Path, host: str, login: str, verdict: str
) -> None:
    keys = f'host = "{host}"\ntls = "none"\n{login}'
    if verdict == "error":
        assert fault(tmp_path, keys).key == "smarthost[0].tls"
    else:
        warnings = [warning.key for warning in smarthost(tmp_path, keys)[1]]
        assert warnings == (["smarthost[0].tls"] if verdict == "warning" else [])


def test_a_login_with_auth_none_is_not_used(tmp_path: Path) -> None:
    host, warnings = smarthost(tmp_path, f'host = "a.nl"\nauth = "none"\n{LOGIN}')
    assert host.account is None
    assert [warning.key for warning in warnings] == [
        "smarthost[0].username",
        "smarthost[0].password",
    ]


@pytest.mark.parametrize("preset", [preset.id for preset in catalog() if preset.offer_as_preset])
def test_every_offered_preset_gives_a_smarthost(tmp_path: Path, preset: str) -> None:
    endpoint = catalog().resolve(preset).preset.endpoint()
    host = 'host = "mail.example.net"\n' if endpoint is None or endpoint.blanks else ""
    resolved, _ = smarthost(tmp_path, f'preset = "{preset}"\n{host}{LOGIN}')
    assert "<" not in resolved.host
    assert resolved.tls is not TlsMode.NONE
    assert resolved.max_connections in {1, 2}
