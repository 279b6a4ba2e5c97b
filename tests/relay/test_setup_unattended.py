"""`relay setup --unattended`: options alone, a file that works or none, nothing half written."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.nameserver import NameServer
from fakes.peers import needs
from fakes.postfix import Postfix
from fakes.postfix_layout import Settings
from fakes.providers import PASSWORD, USERNAME, Provider
from fakes.relay_process import Finished
from fakes.setup_office import DOMAIN, ZONE, Office

from relay.config.load import load

TO = "klant@elders.example"
ADDRESS = "mijnbakkerij@ziggo.nl"
"""A domain of the provider: it has no records that the office could publish."""


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with NameServer(ZONE) as server:
        yield server


@pytest.fixture
def office(tmp_path: Path, names: NameServer) -> Office:
    return Office(tmp_path, names.address)


@pytest.fixture
def ziggo(office: Office, authority: Authority) -> Iterator[Provider]:
    with Provider("ziggo", authority.issue().server_context()) as provider:
        office.at_provider(provider.port, authority.ca_file)
        yield provider


def at_ziggo(office: Office, *more: str, password: str = PASSWORD) -> Finished:
    login = ("--username", USERNAME, "--password-file", str(office.password(password)))
    return office.unattended("--address", ADDRESS, *login, "--test-to", TO, *more)


def nothing_written(office: Office) -> None:
    assert not office.config.parent.exists(), "not even the directory"
    assert not office.spool.exists()


def test_from_nothing_to_a_sending_office(office: Office, ziggo: Provider) -> None:
    done = at_ziggo(office, "--machines", "192.168.1.20", "--any-login", "yes")
    assert done.code == 0, done
    (mail,) = ziggo.accepted
    found = done.json
    assert (found["schema"], found["command"], found["verdict"]) == ("relay/1", "setup", "pass")
    assert mail.sender.address == ADDRESS
    assert [each.address for each in mail.recipients] == [TO]
    assert b"Auto-Submitted: auto-generated" in mail.content
    assert b"during the setup" in mail.content
    assert {"port", "smarthost", "smarthost-certificate", "test"} <= {
        each["id"] for each in found["findings"]
    }
    assert found["test_message"]["state"] == "delivered"
    config = load(office.config)
    assert config.warnings == ()
    assert [(each.host, each.port) for each in config.listeners] == [("127.0.0.1", office.port)]
    (smarthost,) = config.smarthosts
    assert (smarthost.preset, smarthost.username) == ("ziggo", USERNAME)
    assert {each.name: each.any_login for each in config.clients} == {"local": True, "office": True}
    secret = office.config.parent / "ziggo.secret"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == (f"{PASSWORD}\n", 0o600)
    assert office.left() == {"relay.toml", "ziggo.secret"}
    assert not office.spool.exists(), "what was tried is gone"
    assert PASSWORD not in office.config.read_text() + done.out + done.err
    checked = office.relay("check", "--json")
    assert checked.code == 0, checked


def test_the_provider_is_found_by_mx_and_the_records_are_told(
    office: Office, authority: Authority
) -> None:
    with Provider("microsoft365", authority.issue().server_context()) as provider:
        office.at_provider(provider.port, authority.ca_file)
        secret = str(office.password(PASSWORD))
        done = office.unattended(
            *("--address", USERNAME, "--auth", "password", "--password-file", secret),
            *("--ordernow", "yes", "--test-to", "none"),
        )
    assert done.code == 0, done
    assert provider.accepted == []
    found = done.json
    assert found["answers"]["provider"] == "microsoft365"
    assert "provider" in found["proposed"]
    assert "mail.protection.outlook.com" in done.err, "why this provider"
    records = {each["name"]: each["text"] for each in found["publish"]}
    spf = records[DOMAIN]
    assert "include:spf.protection.outlook.com" in spf
    assert "ip4:84.246.4.155" in spf
    assert "ip4:203.0.113.5" in spf, "what was covered stays"
    assert found["spf"]["suggestion"]["verified"]
    assert records[f"_dmarc.{DOMAIN}"].startswith("v=DMARC1")
    (smarthost,) = load(office.config).smarthosts
    assert smarthost.sender is not None
    assert (smarthost.sender.policy, smarthost.sender.address) == ("rewrite", USERNAME)


def test_the_provider_of_a_known_domain_needs_no_dns(
    office: Office, ziggo: Provider, names: NameServer
) -> None:
    before = len(names.questions)
    done = at_ziggo(office)
    assert done.code == 0, done
    assert done.json["answers"]["provider"] == "ziggo"
    assert (done.json["spf"], done.json["publish"]) == (None, []), "no record of the office's own"
    assert len(names.questions) == before


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ((), "--address"),
        (("--address", "info@nergens.example"), "--provider"),
        (("--address", USERNAME, "--provider", "ziggo"), "--password-file"),
        (("--address", USERNAME, "--provider", "vimexx"), "--host"),
        (("--address", USERNAME, "--provider", "other"), "--host"),
        (("--address", USERNAME, "--provider", "sendgrid"), "--username"),
        (("--address", USERNAME, "--provider", "microsoft365"), "--client-id"),
    ],
)
def test_what_is_missing_is_named_by_its_option(
    office: Office, given: tuple[str, ...], option: str
) -> None:
    done = office.refused(*given)
    assert (done.code, done.out) == (2, "")
    assert f"{option} is missing" in done.err
    nothing_written(office)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--address", "info"),
        ("--provider", "zigo"),
        ("--port", "70000"),
        ("--tls", "ssl"),
        ("--sender", "nooit"),
        ("--machines", "192.168.1.300"),
        ("--machines", "8.0.0.0/8"),
        ("--machines", "a b=192.168.1.1"),
        ("--any-login", "misschien"),
        ("--postmaster", "beheer"),
        ("--test-to", "klant"),
        ("--address", "info@mijnbakkerij.example\nx"),
    ],
)
def test_a_bad_option_says_what_to_write(office: Office, option: str, value: str) -> None:
    login = ("--provider", "ziggo", "--password-file", str(office.password(PASSWORD)))
    done = office.refused("--address", USERNAME, *login, option, value)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith(f"{option}: ")
    nothing_written(office)


def test_a_password_that_others_can_read_is_refused(office: Office) -> None:
    secret = str(office.password(PASSWORD, 0o644))
    done = office.refused("--address", "a@ziggo.nl", "--password-file", secret)
    assert done.code == 2
    assert "chmod" in done.err
    nothing_written(office)


def test_a_password_from_stdin(office: Office, ziggo: Provider) -> None:
    given = ("--address", ADDRESS, "--username", USERNAME, "--password-file", "-")
    done = office.unattended(*given, "--test-to", "none", stdin=f"{PASSWORD}\n")
    assert done.code == 0, done
    assert load(office.config).smarthosts[0].password is not None


def test_a_wrong_password_is_tried_once_and_nothing_is_written(
    office: Office, ziggo: Provider
) -> None:
    done = at_ziggo(office, password="verkeerd")
    assert (done.code, done.json["verdict"], done.json["path"]) == (1, "fail", None)
    (failed,) = [each for each in done.json["findings"] if each["severity"] == "error"]
    assert failed["evidence"]["phase"] == "auth"
    assert failed["remedy"]
    logins = [login.accepted for session in ziggo.sessions for login in session.logins]
    assert logins == [False]
    assert ziggo.accepted == []
    nothing_written(office)


def test_a_certificate_of_a_stranger_gets_no_password(
    office: Office, authority: Authority, unknown_authority: Authority
) -> None:
    with Provider("ziggo", unknown_authority.issue().server_context()) as provider:
        office.at_provider(provider.port, authority.ca_file)
        done = at_ziggo(office)
    assert done.code == 1, done
    assert [session.logins for session in provider.sessions if session.logins] == []
    nothing_written(office)


def test_a_sender_that_the_account_may_not_use_is_found_before_it_is_written(
    office: Office, authority: Authority
) -> None:
    context = authority.issue().server_context()
    with Provider("microsoft365", context, "send-as") as provider:
        office.at_provider(provider.port, authority.ca_file)
        secret = str(office.password(PASSWORD))
        done = office.unattended(
            *("--address", USERNAME, "--provider", "microsoft365", "--auth", "password"),
            *("--password-file", secret, "--test-to", TO),
        )
    assert done.code == 1, done
    (failed,) = [each for each in done.json["findings"] if each["severity"] == "error"]
    assert failed["id"] == "test"
    assert "5.2.252" in failed["detail"]
    assert done.json["test_message"]["state"] == "held"
    nothing_written(office)


def test_untested_is_written_without_a_connection(office: Office, ziggo: Provider) -> None:
    done = at_ziggo(office, "--untested")
    assert (done.code, done.json["verdict"]) == (0, "warn")
    assert ziggo.sessions == []
    assert load(office.config).warnings == ()


def test_an_old_file_is_kept_with_its_secret_or_not_touched(
    office: Office, ziggo: Provider
) -> None:
    office.config.parent.mkdir()
    office.config.write_text("# van eerder\n")
    office.config.chmod(0o640)
    secret = office.config.with_name("ziggo.secret")
    secret.write_text("van eerder\n")
    refused = office.refused("--address", USERNAME)
    assert (refused.code, refused.out) == (2, "")
    assert "--replace" in refused.err
    assert office.config.read_text() == "# van eerder\n"
    assert ziggo.sessions == []
    done = at_ziggo(office, "--replace")
    assert done.code == 0, done
    kept = Path(done.json["replaced"])
    assert kept.read_text() == "# van eerder\n"
    assert kept.name.startswith("relay.toml.20")
    assert kept.stat().st_mode & 0o777 == 0o640
    assert secret.read_text() == "van eerder\n"
    assert office.left() == {"relay.toml", kept.name, "ziggo.secret", "ziggo-2.secret"}
    assert office.config.stat().st_mode & 0o777 == 0o640
    assert load(office.config).smarthosts[0].password is not None


def test_a_port_that_another_program_has_is_told_before(office: Office, ziggo: Provider) -> None:
    office.listen = f"127.0.0.1:{ziggo.port}"
    done = at_ziggo(office)
    assert done.code == 1, done
    (failed,) = [each for each in done.json["findings"] if each["severity"] == "error"]
    assert (failed["id"], failed["evidence"]["port"]) == ("port", str(ziggo.port))
    nothing_written(office)


def test_without_a_terminal_it_asks_for_options(office: Office) -> None:
    done = office.run()
    assert (done.code, done.out) == (2, "")
    assert "--unattended" in done.err
    nothing_written(office)


def test_ended_while_it_tries_it_leaves_no_secret(office: Office, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        office.at_provider(silent.getsockname()[1], authority.ca_file)
        login = ("--provider=ziggo", "--password-file", str(office.password(PASSWORD)))
        process = subprocess.Popen(
            office.command("--unattended", "--address", USERNAME, *login),
            env=office.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        staged = office.config.with_name("relay.toml.setup") / "try" / "ziggo.secret"
        assert staged.read_text().strip() == PASSWORD
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 3
    assert "Nothing written" in said
    nothing_written(office)


@needs("postfix", "saslpasswd2", "sasl-plain")
def test_a_real_postfix_takes_login_and_test_message(office: Office, authority: Authority) -> None:
    with Postfix(authority.issue(), Settings(users={"bakker": "geheim"})) as postfix:
        office.at_provider(postfix.port, authority.ca_file)
        secret = str(office.password("geheim"))
        done = office.unattended(
            *("--address", ADDRESS, "--provider", "other", "--username", "bakker"),
            *("--password-file", secret, "--test-to", TO),
        )
        assert done.code == 0, done
        (copy,) = postfix.wait_for(1)
    assert (copy.sender, copy.recipient) == (ADDRESS, TO)
