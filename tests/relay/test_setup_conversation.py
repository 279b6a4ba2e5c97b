"""`relay setup` as a person has it: at a terminal, question by question, stopped and taken up."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.nameserver import NameServer
from fakes.providers import PASSWORD, USERNAME, Provider
from fakes.setup_office import ZONE, Office
from fakes.terminal import Terminal

from relay.cli.texts import parts, text
from relay.config.load import load

TO = "klant@elders.example"
ANSWERS = {
    "language": "nl",
    "address": USERNAME,
    "provider": "ziggo",
    "username": "",
    "password": PASSWORD,
    "sender": "",
    "machines": "kassa=192.168.1.20",
    "any_login": "ja",
    "postmaster": "",
    "ordernow": "2",
    "test_to": TO,
}


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


def expect_question(terminal: Terminal, name: str, language: str = "nl") -> None:
    title = parts(f"setup.ask.{name}", language, known="", domain="")[0]
    terminal.expect(re.escape(title))
    terminal.expect(r"> $")


def answer(terminal: Terminal, name: str, typed: str, language: str = "nl") -> None:
    expect_question(terminal, name, language)
    terminal.type(typed)


def converse(terminal: Terminal, **other: str) -> None:
    """Answers everything, up to the review."""
    for name, typed in {**ANSWERS, **other}.items():
        answer(terminal, name, typed, "en" if name == "language" else "nl")
    expect_review(terminal)


def expect_review(terminal: Terminal) -> None:
    terminal.expect(re.escape(text("setup.confirm", "nl")))
    terminal.expect(r"> $")


def test_a_whole_conversation(office: Office, ziggo: Provider) -> None:
    with office.sit_down() as terminal:
        terminal.expect(re.escape(str(office.config)))
        converse(terminal)
        terminal.type("")
        terminal.expect("is geschreven")
        assert terminal.end() == 0
        assert PASSWORD not in terminal.shown, "typed unseen"
        assert "mail.protection.outlook.com (MX)" in terminal.shown
        assert "aangenomen door ziggo: 250" in terminal.shown
    (mail,) = ziggo.accepted
    assert [each.address for each in mail.recipients] == [TO]
    config = load(office.config)
    assert config.warnings == ()
    assert [each.name for each in config.clients] == ["local", "kassa"]
    assert config.language == "nl"
    assert office.left() == {"relay.toml", "ziggo.secret"}


def test_bad_answers_are_asked_again_and_one_can_go_back(office: Office) -> None:
    with office.sit_down("--lang", "nl") as terminal:
        answer(terminal, "address", "info")
        terminal.expect("is geen mailadres")
        terminal.expect(r"> $")
        terminal.type("info@nergens.example")
        terminal.expect("Aan nergens.example is niet te zien")
        answer(terminal, "provider", "zigo")
        terminal.expect("geen bekende preset.*ziggo")
        terminal.expect(r"> $")
        terminal.type("<")
        answer(terminal, "address", USERNAME)
        terminal.expect("Microsoft 365")
        expect_question(terminal, "provider")
        assert terminal.shown.endswith("[microsoft365] > ")
        terminal.type("ziggo")
        terminal.expect("Ziggo. ")
        answer(terminal, "username", "")
        answer(terminal, "password", "")
        terminal.expect("er is niets getypt")
        terminal.expect(r"> $")
        terminal.type("<")
        answer(terminal, "username", "")
        answer(terminal, "password", PASSWORD)
        answer(terminal, "sender", "7")
        terminal.expect("kan hier niet")
        terminal.expect(r"> $")
        terminal.interrupt("Gestopt")
        assert terminal.end() == 3


def test_interrupted_at_each_question_and_taken_up_again(office: Office, ziggo: Provider) -> None:
    kept: dict[str, str] = {}
    for name, typed in ANSWERS.items():
        with office.sit_down() as terminal:
            if kept:
                terminal.expect(re.escape(text("setup.resumed", "nl")))
            if kept and [*ANSWERS].index(name) > [*ANSWERS].index("password"):
                answer(terminal, "password", PASSWORD)  # never kept: asked for each time
            expect_question(terminal, name, "nl" if kept else "en")
            if name == "password":
                terminal.interrupt("Gestopt")
                assert terminal.end() == 3
                continue
            terminal.type(typed)
            terminal.expect(r"> $")
            terminal.interrupt(r"relay setup --config \S+relay.toml")
            assert terminal.end() == 3
        draft = office.config.with_name("relay.toml.setup") / "answers.json"
        assert draft.stat().st_mode & 0o777 == 0o600
        kept = json.loads(draft.read_text())
        assert name in kept
        assert PASSWORD not in draft.read_text()
        assert office.left() == {"relay.toml.setup"}
    assert ziggo.sessions == []
    with office.sit_down() as terminal:
        answer(terminal, "password", PASSWORD)
        expect_review(terminal)
        terminal.type("")
        assert terminal.end() == 0
    assert load(office.config).clients[1].name == "kassa"
    assert office.left() == {"relay.toml", "ziggo.secret"}


def test_a_wrong_password_is_asked_again_and_the_rest_kept(office: Office, ziggo: Provider) -> None:
    with office.sit_down() as terminal:
        converse(terminal, password="verkeerd")
        terminal.type("")
        terminal.expect("Authentication failed|535")
        terminal.expect("een ander wachtwoord")
        terminal.expect(r"> $")
        assert not office.config.exists()
        terminal.type("")
        answer(terminal, "password", PASSWORD)
        terminal.expect("is geschreven")
        assert terminal.end() == 0
    logins = [login.accepted for session in ziggo.sessions for login in session.logins]
    assert logins == [False, True, True], "once each: to try, and for the test message"
    assert load(office.config).clients[1].name == "kassa"
    assert [each.address for each in ziggo.accepted[0].recipients] == [TO]


def test_anyway_writes_what_could_not_be_tried(office: Office, authority: Authority) -> None:
    with Provider("ziggo", authority.issue().server_context()) as gone:
        office.at_provider(gone.port, authority.ca_file)
    with office.sit_down() as terminal:
        converse(terminal)
        terminal.type("machine")
        terminal.expect("geen van de antwoorden")
        terminal.expect(r"> $")
        terminal.type("machines")
        answer(terminal, "machines", "hier")
        for name in ("any_login", "postmaster", "ordernow"):
            answer(terminal, name, "nee" if name == "any_login" else "")
        expect_question(terminal, "test_to")
        assert terminal.shown.endswith(f"[{TO}] > "), "proposed again"
        terminal.type("")
        expect_review(terminal)
        terminal.type("")
        terminal.expect("anyway")
        terminal.expect(r"> $")
        terminal.type("anyway")
        terminal.expect("is geschreven")
        assert terminal.end() == 1, "written, and yet a problem"
    assert load(office.config).clients == ()


def test_the_end_of_the_input_and_a_second_setup(office: Office) -> None:
    with office.sit_down() as first:
        expect_question(first, "language", "en")
        with office.sit_down("--lang", "en") as second:
            second.expect("another relay setup")
            assert second.end() == 2
        first.type("\x04")
        assert first.end() == 3
    assert office.left() == set(), "nothing was answered, nothing is kept"


def test_replacing_is_asked_for(office: Office) -> None:
    office.config.parent.mkdir()
    office.config.write_text("# van eerder\n")
    with office.sit_down("--lang", "nl") as terminal:
        terminal.expect("Een nieuw maken")
        terminal.type("misschien")
        terminal.expect("kan hier niet")
        terminal.type("")
        assert terminal.end() == 2
    assert office.config.read_text() == "# van eerder\n"
    assert office.left() == {"relay.toml"}


def test_restart_forgets(office: Office) -> None:
    with office.sit_down("--lang", "nl") as terminal:
        answer(terminal, "address", USERNAME)
        expect_question(terminal, "provider")
        terminal.interrupt("Gestopt")
        terminal.end()
    with office.sit_down("--lang", "nl", "--restart") as terminal:
        expect_question(terminal, "address")
        assert USERNAME not in terminal.shown
        terminal.interrupt("Gestopt")
        terminal.end()
