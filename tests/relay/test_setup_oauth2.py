"""`relay setup` with OAuth2: consent at the terminal, an app that proves itself, consent for later."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.consented import SCOPES, add_consented, token_behaviour
from fakes.issuer import Issuer
from fakes.nameserver import NameServer
from fakes.relay_file import RelayFile
from fakes.setup_office import ZONE, Office
from fakes.smarthost import Smarthost

from relay.cli.setup_checks import Trial, try_out
from relay.config.load import load
from relay.setup.questions import Situation
from relay.spool.vault_entry import Grant

TO = "klant@elders.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def office(tmp_path: Path, issuer: Issuer) -> Iterator[Office]:
    with NameServer(ZONE) as server:
        office = Office(tmp_path, server.address)
        office.options += ["--address", issuer.username, "--provider=microsoft365"]
        office.options += [f"--authority={issuer.url}", f"--issuer-ca-file={issuer.ca_file}"]
        office.options += [f"--client-id={issuer.client_id}", f"--test-to={TO}"]
        yield office


@pytest.fixture
def microsoft(office: Office, authority: Authority, issuer: Issuer) -> Iterator[Smarthost]:
    with Smarthost(token_behaviour(authority, issuer, "XOAUTH2")) as smarthost:
        office.at_provider(smarthost.port, authority.ca_file)
        yield smarthost


def no_token_in(text: str, issuer: Issuer) -> None:
    assert not [each for each in (*issuer.access, *issuer.refresh) if each in text]


def test_consent_at_the_terminal_reaches_the_relay_to_come(
    office: Office, microsoft: Smarthost, issuer: Issuer
) -> None:
    with office.sit_down("--lang", "en") as terminal:
        for name in ("auth", "username", "flow", "tenant", "sender", "machines", "any_login"):
            found = terminal.expect(r"\[(\S+)\] > $")
            assert name != "auth" or found[1] == "oauth2", "passwords end there"
            terminal.type("")
        for _ in ("postmaster", "ordernow", "review"):
            terminal.expect(r"> $")
            terminal.type("")
        address = terminal.expect(r"https://\S+/authorize\?\S+")[0]
        terminal.type(issuer.approve(address))
        terminal.expect("is written")
        assert terminal.end() == 0
        no_token_in(re.sub(r"http\S+", "", terminal.shown), issuer)
    (mail,) = microsoft.accepted
    assert [each.address for each in mail.recipients] == [TO]
    accounts = office.relay("account", "list", "--json").json["accounts"]
    assert [each["consent"] for each in accounts] == ["given"]
    tested = office.relay("account", "test", "microsoft365", "--json")
    assert (tested.code, tested.json["accepted"]) == (0, True), tested
    assert "client_secret" not in office.config.read_text()


def test_an_app_proves_itself_unattended(
    office: Office, microsoft: Smarthost, issuer: Issuer
) -> None:
    secret = office.password(issuer.client_secret)
    done = office.unattended(
        *("--flow=client-credentials", "--tenant=bakery", "--client-secret-file", str(secret))
    )
    assert done.code == 0, done
    assert len(microsoft.accepted) == 1
    no_token_in(done.out + done.err, issuer)
    assert office.left() == {"relay.toml", "microsoft365-app.secret"}


def test_a_wrong_secret_of_the_app_is_explained(
    office: Office, microsoft: Smarthost, issuer: Issuer
) -> None:
    secret = office.password("verkeerd")
    done = office.unattended(
        *("--flow=client-credentials", "--tenant=bakery", "--client-secret-file", str(secret))
    )
    assert done.code == 1, done
    (failed,) = [each for each in done.json["findings"] if each["severity"] == "error"]
    assert failed["id"] == "consent"
    assert failed["remedy"]
    assert office.left() == set()


def test_a_consent_that_needs_a_person_is_left_for_later(
    office: Office, microsoft: Smarthost
) -> None:
    done = office.unattended()
    assert (done.code, done.json["verdict"]) == (0, "warn"), done
    (later,) = [each for each in done.json["findings"] if each["id"] == "consent"]
    assert later["remedy"][0] == "relay account login microsoft365"
    assert "smarthost-certificate" in {each["id"] for each in done.json["findings"]}
    assert [session.verbs for session in microsoft.sessions if "AUTH" in session.verbs] == []
    assert office.left() == {"relay.toml"}


def test_a_token_that_the_issuer_changed_in_the_trial_is_the_one_that_is_kept(
    tmp_path: Path, microsoft: Smarthost, authority: Authority, issuer: Issuer
) -> None:
    issuer.single_use = True
    relay = RelayFile(tmp_path)
    now = datetime.now(UTC)
    first = add_consented(relay, microsoft.port, authority.ca_file, issuer, now)
    oauth2 = load(relay.write_config()).smarthosts[0].oauth2
    assert oauth2 is not None
    (tmp_path / "try").mkdir()
    staged = relay.config.rename(tmp_path / "try" / "relay.toml")
    account = (issuer.username, "code", oauth2.client_id, oauth2.tenant, oauth2.authority)
    before = Trial(grant=Grant(first, None, None, now, now, SCOPES), consented_for=account)
    answers = {"language": "en", "address": issuer.username, "test_to": TO}
    trial = try_out(staged, Situation(answers), before, unattended=False)
    assert trial.verdict == "pass", trial.findings
    assert trial.grant is not None
    assert trial.grant.refresh_token not in (None, first)
    assert issuer.refresh[str(trial.grant.refresh_token)].refused is None
