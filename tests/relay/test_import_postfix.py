"""A Postfix configuration taken over: what it says is what Postfix itself says it says."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fakes.peers import needs, program
from typer.testing import CliRunner

from relay.cli.app import app
from relay.config.load import load
from relay.config.model import AuthMethod, PolicyKind, TlsMode
from relay.moving_in.postfix_file import Parameters, read_main, read_master, read_table
from relay.moving_in.postfix_route import parse_destination

OFFICE = """\
# the office
myhostname = relay.mijnbakkerij.nl
mydestination = localhost
provider = ziggo.nl
relayhost = [smtp.$provider]:587
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps =
# a comment inside
    hash:{home}/sasl_passwd
smtp_sender_dependent_authentication = yes
sender_dependent_relayhost_maps = hash:{home}/relayhosts
sender_canonical_maps = hash:{home}/canonical
smtp_tls_security_level = encrypt
mynetworks = 127.0.0.0/8, [::1]/128
  !192.168.1.9 192.168.1.8/30 {home}/networks
message_size_limit = 30000000
maximal_queue_lifetime = 2w
header_checks = regexp:{home}/header_checks
"""
MASTER = """\
smtp      inet  n       -       y       -       -       smtpd
192.168.1.10:2525 inet n - y    -       -       smtpd
  -o syslog_name=postfix/kassa
submission inet n       -       y       -       -       smtpd
  -o smtpd_tls_security_level=encrypt
  -o { smtpd_sasl_auth_enable = yes }
smtp      unix  -       -       y       -       -       smtp
"""
TABLES = {
    "sasl_passwd": "[smtp.ziggo.nl]:587 bakker@ziggo.nl:ge:heim\n"
    "[smtp.office365.com]:587\n   boek@mijnbakkerij.nl:anders\n"
    "web@mijnbakkerij.nl web@ziggo.nl:derde\n",
    "relayhosts": "Boek@mijnbakkerij.nl [smtp.office365.com]:587\n@stil.nl DUNNO\n",
    "canonical": "info@lokaal.lan info@mijnbakkerij.nl\nroot beheer@mijnbakkerij.nl\n"
    "oud@mijnbakkerij.nl boek@mijnbakkerij.nl\n@a.lan @b.nl\n",
    "networks": "# machines\n10.1.0.0/16\n[fd00::]/64\n80.0.0.0/8\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "postfix"
    home.mkdir()
    for name, rows in TABLES.items():
        (home / name).write_text(rows)
    configure(home, OFFICE)
    return home


def configure(home: Path, main: str, master: str = MASTER) -> None:
    (home / "main.cf").write_text(main.replace("{home}", str(home)))
    (home / "master.cf").write_text(master)


def run(home: Path, *words: str, code: int = 0) -> Any:
    target = home.parent / "relay.toml"
    command = ["import", "postfix", str(home), "--config", str(target), "--json", *words]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if done.stdout else None


def slugs(document: Any) -> set[str]:
    return {each["why"] for each in document["not_understood"]}


def test_the_office_moves_in(home: Path) -> None:
    document = run(home, "--write")
    config = load(home.parent / "relay.toml", {})
    assert config.hostname == "relay.mijnbakkerij.nl"
    assert config.spool.lifetime.days == 14
    listeners = [(each.host, each.port, each.max_message_bytes) for each in config.listeners]
    assert listeners == [("0.0.0.0", 25, 30_000_000), ("192.168.1.10", 2525, 30_000_000)]
    (client,) = config.clients
    assert list(map(str, client.networks)) == [
        "127.0.0.0/8",
        "::1/128",
        "192.168.1.8/32",
        "192.168.1.10/31",
        "10.1.0.0/16",
        "fd00::/64",
    ]
    first = config.smarthosts[0]
    assert (first.host, first.port, first.tls) == ("smtp.ziggo.nl", 587, TlsMode.STARTTLS)
    assert (first.auth, first.username) == (AuthMethod.PASSWORD, "bakker@ziggo.nl")
    assert first.password is not None
    assert first.password.read({}) == "ge:heim"
    assert {each["why"] for each in document["not_understood"]} == {
        "override",
        "open-network",
        "rewriting",
        "tls-verified",
        "parameter",
    }
    assert "header_checks" in str(document["not_understood"])
    for path in document["written"]:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def leaves(config: Any, sender: str) -> tuple[str, str | None, str | None]:
    """Host, user name and forced sender of mail from `sender`, by the relay's own rules."""
    from relay.delivery.route import find_path

    path = find_path(config, "kassa", sender, "klant@example.net")
    smarthost = config.smarthost(path.smarthosts[0])
    policy = smarthost.sender
    return (
        smarthost.host,
        smarthost.username,
        policy.address if policy and policy.policy is PolicyKind.FORCE else None,
    )


def test_each_sender_leaves_as_postfix_would_have_it(home: Path) -> None:
    run(home, "--write")
    config = load(home.parent / "relay.toml", {})
    assert {
        sender: leaves(config, sender)
        for sender in (
            "info@mijnbakkerij.nl",
            "boek@mijnbakkerij.nl",
            "web@mijnbakkerij.nl",
            "info@lokaal.lan",
            "root@relay.mijnbakkerij.nl",
            # The sender is rewritten before its relayhost is looked for.
            "oud@mijnbakkerij.nl",
        )
    } == {
        "info@mijnbakkerij.nl": ("smtp.ziggo.nl", "bakker@ziggo.nl", None),
        "boek@mijnbakkerij.nl": ("smtp.office365.com", "boek@mijnbakkerij.nl", None),
        "web@mijnbakkerij.nl": ("smtp.ziggo.nl", "web@ziggo.nl", None),
        "info@lokaal.lan": ("smtp.ziggo.nl", "bakker@ziggo.nl", "info@mijnbakkerij.nl"),
        "root@relay.mijnbakkerij.nl": (
            "smtp.ziggo.nl",
            "bakker@ziggo.nl",
            "beheer@mijnbakkerij.nl",
        ),
        "oud@mijnbakkerij.nl": (
            "smtp.office365.com",
            "boek@mijnbakkerij.nl",
            "boek@mijnbakkerij.nl",
        ),
    }


def test_nothing_is_written_unasked_and_nothing_is_overwritten(home: Path) -> None:
    document = run(home)
    assert document["written"] == []
    assert sorted(each.name for each in home.parent.iterdir()) == ["postfix"]
    for password in ("ge:heim", "anders", "derde"):
        assert password not in str(document)
    (home.parent / "relay.toml").write_text("mine")
    run(home, "--write", code=2)
    assert sorted(each.name for each in home.parent.iterdir()) == ["postfix", "relay.toml"]
    assert (home.parent / "relay.toml").read_text() == "mine"


def test_what_the_relay_could_not_work_with_is_told_and_not_written(home: Path) -> None:
    configure(home, "myhostname = relay.mijnbakkerij.nl\nmynetworks = 192.168.1.0/24\n")
    document = run(home, "--write", code=1)
    assert "smarthost" in document["faults"][0]
    assert not (home.parent / "relay.toml").exists()


@pytest.mark.parametrize(
    ("main", "slug"),
    [
        ("sender_dependent_relayhost_maps = ldap:/etc/x.cf", "table-type"),
        ("sender_dependent_relayhost_maps = hash:/nowhere", "table"),
        ("mynetworks_style = host", "no-mynetworks"),
        ("mynetworks = cidr:/etc/x", "network"),
        ("mynetworks = office.example.net", "network"),
        ("mydestination = mijnbakkerij.nl", "mydestination"),
        ("canonical_maps = hash:{home}/canonical", "recipients-too"),
        ("smtpd_milters = inet:localhost:8891", "parameter"),
        ("smtpd_recipient_restrictions = check_policy_service inet:x", "parameter"),
        ("inet_interfaces = kantoor lan.example.net!", "listener"),
    ],
)
def test_what_is_not_understood_is_named(home: Path, main: str, slug: str) -> None:
    configure(home, f"relayhost = [smtp.example.net]\nsmtp_tls_security_level = encrypt\n{main}\n")
    assert slug in slugs(run(home))


def test_a_text_that_postmap_has_not_seen_is_told(home: Path) -> None:
    (home / "canonical.db").touch()
    os.utime(home / "canonical.db", (1, 1))
    assert "table-stale" in slugs(run(home))


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("smtp_tls_wrappermode = yes\nsmtp_tls_security_level = encrypt", "implicit"),
        ("smtp_use_tls = yes", "starttls"),
        ("", "starttls"),
    ],
)
def test_tls_is_what_it_was_or_better(home: Path, main: str, expected: str) -> None:
    configure(home, f"relayhost = [smtp.example.net]:2587\nmynetworks = 127.0.0.1\n{main}\n")
    document = run(home)
    assert f'tls = "{expected}"' in document["toml"]
    assert ("tls-none" in slugs(document)) is (main == "")


def test_a_server_nearby_without_tls_stays_without(home: Path) -> None:
    configure(home, "relayhost = [192.168.1.2]\nmynetworks = 127.0.0.1\n")
    assert 'tls = "none"' in run(home)["toml"]


def test_a_rule_for_everybody_becomes_the_sender_policy(home: Path) -> None:
    (home / "all").write_text("/.+/ account@ziggo.nl\n")
    for table in ("regexp:{home}/all", "static:account@ziggo.nl"):
        configure(home, f"relayhost = [smtp.example.net]:587\nsmtp_generic_maps = {table}\n")
        document = run(home)
        assert '[sender]\npolicy = "force"\naddress = "account@ziggo.nl"' in document["toml"]


@pytest.mark.parametrize(
    ("host", "username", "preset"),
    [
        ("smtp.ziggo.nl", "bakker@ziggo.nl", "ziggo"),  # not those that went into it
        ("smtp.gmail.com", "bakker@gmail.com", "gmail"),
        ("smtp.gmail.com", "bakker@mijnbakkerij.nl", None),
        ("smtp.example.net", "bakker", None),
    ],
)
def test_a_providers_server_gets_its_preset(
    home: Path, host: str, username: str, preset: str | None
) -> None:
    configure(
        home,
        f"relayhost = [{host}]:587\nsmtp_sasl_auth_enable = yes\n"
        f"smtp_sasl_password_maps = static:{username}:geheim\nsmtp_tls_security_level = encrypt\n",
    )
    run(home, "--write")
    (smarthost,) = load(home.parent / "relay.toml", {}).smarthosts
    assert smarthost.preset == preset


def test_a_password_inside_main_cf_is_not_shown(home: Path) -> None:
    configure(
        home,
        "relayhost = [smtp.example.net]:587\nsmtp_sasl_auth_enable = yes\n"
        "smtp_sasl_password_maps = static:jan:geheim\n",
    )
    document = run(home, "--write")
    assert "geheim" not in str(document)
    config = load(home.parent / "relay.toml", {})
    assert config.smarthosts[0].username == "jan"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[smtp.example.net]:submission", ("smtp.example.net", 587, False)),
        ("example.net", ("example.net", 25, True)),
        ("[192.168.1.2]", ("192.168.1.2", 25, False)),
        ("smtp:[smtp.example.net]:smtps", ("smtp.example.net", 465, False)),
        ("[ipv6:fd00::1]:25", ("fd00::1", 25, False)),
        ("[smtp.example.net]:nonsense", None),
        ("lmtp:unix:/run/x", None),
    ],
)
def test_destinations(text: str, expected: tuple[str, int, bool] | None) -> None:
    found = parse_destination(text)
    assert (found and (found.host, found.port, found.looks_up_mx)) == expected


# --- Against Postfix itself ---

ODD = """\
   # indented comment
relayhost = first
relayhost=[mail.$mydomain]:25
mydomain = ${{base}}.nl
base = mijn$(name)
name = bakkerij

mynetworks = 10.0.0.1,
# between the parts

   10.0.0.2
	10.0.0.3
empty_one =
header_size_limit = 102400
smtpd_banner = $$ $mydomain ESMTP
"""


@needs("postconf")
def test_parameters_are_what_postconf_says(home: Path) -> None:
    for text in (ODD.replace("{{", "{").replace("}}", "}"), OFFICE):
        configure(home, text)
        done = subprocess.run(
            [program("postconf"), "-c", str(home), "-nx"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        theirs = {
            name.strip(): value.strip()
            for name, _, value in (line.partition("=") for line in done.stdout.splitlines())
        }
        theirs.pop("config_directory", None)
        parameters = Parameters(read_main((home / "main.cf").read_text()))
        # postconf leaves out parameters of one's own, and names each that it shows.
        ours = {name: parameters.value(name) for name in theirs}
        assert len(theirs) >= 4
        assert {name: value.split() for name, value in ours.items()} == {
            name: value.split() for name, value in theirs.items()
        }


@needs("postconf")
def test_services_are_what_postconf_says(home: Path) -> None:
    done = subprocess.run(
        [program("postconf"), "-c", str(home), "-P"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    theirs = {
        tuple(part.strip() for part in line.split("=", 1)) for line in done.stdout.splitlines()
    }
    ours = {
        (f"{each.name}/{each.kind}/{name}", value)
        for each in read_master(MASTER)
        for name, value in each.overrides.items()
    }
    assert ours == theirs
    assert len(ours) == 3


@needs("postfix")
def test_tables_are_what_postmap_says(home: Path) -> None:
    postmap = Path(program("postfix")).with_name("postmap")
    for name in ("sasl_passwd", "relayhosts", "canonical"):
        subprocess.run([postmap, "-c", str(home), home / name], check=True, timeout=30)
        listed = subprocess.run(
            [postmap, "-c", str(home), "-s", f"hash:{home / name}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        rows = dict(line.split("\t", 1) for line in listed.stdout.splitlines())
        assert read_table(f"hash:{home / name}").rows == rows
        assert rows
