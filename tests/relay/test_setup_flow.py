"""What `relay setup` asks next, what it takes for an answer, and the file that follows from them."""

import itertools
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from presets.catalog import catalog
from relay.cli.texts import TEXTS
from relay.config.fault import BadValueError
from relay.config.load import load
from relay.setup.answers import groups, means_no, read_answer
from relay.setup.compose import Extras, compose
from relay.setup.questions import (
    QUESTIONS,
    Found,
    Question,
    Situation,
    auth_choices,
    next_question,
    own_domain,
)
from relay.setup.remarks import REMARKS, remark
from relay.setup.workplace import Workplace
from relay.spool.lock import SpoolInUse

GIVEN = {
    "address": "info@mijnbakkerij.nl",
    "host": "smtp.voorbeeld.nl",
    "username": "bakker@mijnbakkerij.nl",
    "client_id": "7d4c1f0a",
    "tenant": "7d4c1f0b",
}
USABLE = [
    preset.id
    for preset in catalog()
    if (end := preset.endpoint()) is not None and end.tls != "none"
]


def asked(**answers: str) -> list[str]:
    """The names of the questions, in order, when these are answered so and else as proposed."""
    return list(walked(**answers)[1])


def walked(**answers: str) -> tuple[Situation, list[str]]:
    at, names = Situation({}), []
    while question := next_question(at):
        names.append(question.name)
        if question.secret:
            at = replace(at, secrets=at.secrets | {question.name})
            continue
        answer = answers.get(question.name, question.proposal or GIVEN.get(question.name))
        assert answer is not None, question
        at = replace(at, answers={**at.answers, question.name: read_answer(question, answer, at)})
    return at, names


def written(at: Situation, directory: Path, **extras: str) -> Path:
    for name in at.secrets:
        file = directory / f"{name}.secret"
        file.write_text("geheim\n")
        file.chmod(0o600)
    files = {name: f"{name}.secret" for name in at.secrets}
    about = Extras(today=date(2026, 11, 22), hostname="relay.test", secrets=files, **extras)  # type: ignore[arg-type]
    path = directory / "relay.toml"
    path.write_text(compose(at, about))
    return path


def test_an_isp_with_a_password_asks_the_least() -> None:
    assert asked(provider="ziggo") == [
        *("language", "address", "provider", "username", "password", "sender"),
        *("machines", "any_login", "listen", "postmaster", "ordernow", "test_to"),
    ]


def test_what_is_asked_follows_the_answers() -> None:
    assert {"host", "port", "tls"} <= set(asked(provider="other"))
    assert "host" in asked(provider="vimexx"), "its host has a blank"
    assert "port" not in asked(provider="vimexx")
    with_consent = asked(provider="microsoft365")
    assert {"flow", "client_id", "tenant"} <= set(with_consent)
    assert not {"password", "client_secret"} & set(with_consent)
    assert {"tenant", "client_secret"} <= set(
        asked(provider="microsoft365", flow="client-credentials")
    )
    google = asked(provider="google-workspace", auth="oauth2")
    assert "client_secret" in google
    assert "tenant" not in google
    assert "client_id" not in asked(
        provider="google-workspace", auth="oauth2", flow="service-account"
    )
    assert "username" not in asked(provider="m365-smtp-relay", host="x.mail.protection.outlook.com")
    assert "ordernow" not in asked(provider="ziggo", address="bakker@ziggo.nl")


def test_a_password_never_crosses_a_network_in_clear() -> None:
    office = {"provider": "other", "host": "192.168.1.5", "tls": "none"}
    assert auth_choices(Situation(office)) == ("none",)
    assert auth_choices(Situation({**office, "host": "127.0.0.1"})) == ("password", "none")
    at = Situation({"provider": "other", "host": "smtp.voorbeeld.nl"})
    with pytest.raises(BadValueError):
        read_answer(Question("tls", choices=("starttls", "none")), "none", at)


def test_an_option_must_be_a_way_that_the_server_takes() -> None:
    at = Situation({"language": "nl", "address": "info@x.nl", "provider": "ziggo"})
    question = next_question(at, {"auth"})
    assert question is not None
    assert (question.name, question.choices) == ("auth", ("password",))


def test_what_was_found_is_proposed() -> None:
    published = Found("srv", "_submission._tcp.x.nl", None, "smtp.x.nl", 465, "implicit")
    by_mx = Found("mx", "mx.x.nl", "transip", "smtp.transip.email", 465, "implicit")
    base = Situation({"language": "nl", "address": "info@x.nl"})
    provider = next_question(replace(base, found=(by_mx,)))
    assert (provider and provider.proposal) == "transip"
    at = replace(base, found=(published,))
    for name, proposal in {
        "provider": "other",
        "host": "smtp.x.nl",
        "port": "465",
        "tls": "implicit",
    }.items():
        question = next_question(at)
        assert question is not None
        assert (question.name, question.proposal) == (name, proposal)
        at = replace(at, answers={**at.answers, name: proposal})


def test_an_option_is_read_though_nobody_would_ask() -> None:
    at = Situation({"language": "nl", "address": "info@x.nl", "provider": "ziggo"})
    question = next_question(at, {"host"})
    assert question is not None
    assert question.name == "host"


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        (Question("any_login", choices=("yes", "no")), " Ja ", "yes"),
        (Question("any_login", choices=("yes", "no")), "2", "no"),
        (Question("provider"), "SMTP.Ziggo.nl", "ziggo"),
        (Question("provider"), "xs4all", "kpn"),
        (Question("provider"), "Anders", "other"),
        (Question("machines"), "HIER", "here"),
        (Question("machines"), "leer", "learn"),
        (Question("machines"), "192.168.1.20  kassa=10.0.0.0/24", "192.168.1.20, kassa=10.0.0.0/24"),
        (Question("listen"), "127.0.0.1:25,[::1]:25", "127.0.0.1:25, [::1]:25"),
        (Question("test_to"), "geen", "none"),
        (Question("port"), "0587", "587"),
    ],
)  # fmt: skip
def test_answers_as_people_write_them(question: Question, text: str, answer: str) -> None:
    assert read_answer(question, text, Situation({})) == answer


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("address", "info@"),
        ("address", "in\x1bfo@x.nl"),
        ("provider", "hccnet"),
        ("provider", "online-nl"),
        ("provider", "x" * 2000),
        ("host", "web<NNNN>.zxcs.nl"),
        ("host", "smtp.x.nl:587"),
        ("port", "0"),
        ("port", "٥٨٧"),
        ("machines", "192.168.1.1, 192.168.1.1"),
        ("machines", "0.0.0.0/0"),
        ("machines", "192.168.1.5/24"),
        ("listen", "2525"),
        ("client_id", "a b"),
        ("username", ""),
    ],
)
def test_a_bad_answer_says_why_in_both_languages(name: str, text: str) -> None:
    with pytest.raises(BadValueError) as refused:
        read_answer(Question(name), text, Situation({"provider": "vimexx"}))
    assert refused.value.nl
    assert refused.value.en


def test_names_of_machines() -> None:
    assert [(name, str(network)) for name, network in groups("a=10.0.0.1,10.0.0.2")] == [
        ("a", "10.0.0.1/32"),
        ("", "10.0.0.2/32"),
    ]
    assert [means_no(text) for text in ("nee", "No", "n", "", "nooit")] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("provider", [*USABLE, "other"])
def test_every_provider_gives_a_file_without_a_warning(provider: str, tmp_path: Path) -> None:
    language = itertools.cycle(("nl", "en"))
    first, _ = walked(provider=provider)
    for auth in auth_choices(first):
        for machines in ("here", "learn", "192.168.1.20, boek=10.0.0.0/24, 127.0.0.1"):
            for any_login, sender in (("yes", "force"), ("no", "rewrite"), ("no", "keep")):
                given = {"provider": provider, "auth": auth, "language": next(language)}
                given |= {"machines": machines, "any_login": any_login, "sender": sender}
                at, _ = walked(**given)
                config = load(written(at, tmp_path), {})
                assert config.warnings == ()
                assert config.language == given["language"]


def test_the_file_says_what_was_answered(tmp_path: Path) -> None:
    at, _ = walked(
        **{"language": "nl", "provider": "microsoft365", "flow": "client-credentials"},
        **{"machines": "boek=10.0.0.0/24", "any_login": "yes", "listen": "127.0.0.1:25, [::1]:26"},
    )
    path = written(at, tmp_path, spool_url=f"sqlite://{tmp_path}/spool.db", web="off")
    config = load(path, {})
    assert [(each.host, each.port) for each in config.listeners] == [("127.0.0.1", 25), ("::1", 26)]
    assert [each.name for each in config.clients] == ["local", "boek"]
    assert not config.web.enabled
    assert config.spool.path == tmp_path / "spool.db"
    oauth2 = config.smarthosts[0].oauth2
    assert oauth2 is not None
    assert (oauth2.flow, oauth2.tenant, oauth2.client_id) == (
        *("client-credentials", "7d4c1f0b", "7d4c1f0a"),
    )
    text = path.read_text()
    assert "relay account login microsoft365" in text
    assert max(map(len, text.splitlines())) <= 100


def test_nothing_leaves_its_quotes_or_its_comment() -> None:
    at, _ = walked(provider="ziggo")
    secrets = {"password": "pass\nword"}
    about = Extras(today=date(2026, 11, 22), hostname='re"lay\\', secrets=secrets)
    found = tomllib.loads(compose(at, about))
    assert found["hostname"] == 're"lay\\'
    assert found["smarthost"][0]["password"] == {"file": "pass\nword"}
    advice = remark("preset", "en", name="X", advice="a\r\n[web]\n\x85enabled = false" + "y" * 300)
    assert all(line.startswith("# ") for line in advice.splitlines())


def test_every_question_has_its_texts_in_both_languages() -> None:
    for name in [*QUESTIONS, "key_file"]:
        nl, en = TEXTS[f"setup.ask.{name}"]
        assert nl.count("|") == en.count("|") == 1
    for nl, en in REMARKS.values():
        assert nl
        assert en


def test_own_domains_are_those_of_no_provider() -> None:
    assert own_domain(Situation({"address": "a@Mijnbakkerij.NL"})) == "mijnbakkerij.nl"
    assert own_domain(Situation({"address": "a@ziggo.nl"})) is None


NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def test_the_place_of_a_setup(tmp_path: Path) -> None:
    target = tmp_path / "etc" / "relay.toml"
    place = Workplace(target)
    assert place.read_draft() == {}
    assert not target.parent.exists(), "nothing is made before there is something to keep"
    place.keep_draft({"address": "a@x.nl", "unknown": "x"})
    assert place.draft.stat().st_mode & 0o777 == 0o600
    assert place.draft.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(SpoolInUse):
        Workplace(target).open()
    staged = place.stage("language = 'nl'\n", {"x.secret": "geheim"})
    assert (staged.with_name("x.secret").stat().st_mode & 0o777, staged.exists()) == (0o600, True)
    place.close(done=False)
    assert {path.name for path in place.draft.parent.iterdir()} == {"answers.json", "lock"}
    again = Workplace(target)
    assert again.read_draft() == {"address": "a@x.nl"}
    again.open()
    again.stage("language = 'en'\n", {"x.secret": "geheim"})
    assert again.install({"x.secret": "geheim"}, NOW, None) is None
    again.close(done=True)
    assert {path.name for path in target.parent.iterdir()} == {"relay.toml", "x.secret"}
    assert target.read_text() == "language = 'en'\n"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"address": 3}', "[" * 50_000, "\xff"])
def test_a_draft_that_is_none_is_left_aside(tmp_path: Path, text: str) -> None:
    place = Workplace(tmp_path / "relay.toml")
    place.keep_draft({})
    place.draft.write_bytes(text.encode("latin-1"))
    assert place.read_draft() == {}
    place.close(done=True)


def test_what_a_killed_setup_left_is_swept(tmp_path: Path) -> None:
    target = tmp_path / "relay.toml"
    killed = tmp_path / "relay.toml.setup" / "try"
    killed.mkdir(parents=True)
    (killed / "isp.secret").write_text("geheim")
    place = Workplace(target)
    place.open()
    assert not killed.exists()
    place.close(done=False)
    assert [*tmp_path.iterdir()] == []
