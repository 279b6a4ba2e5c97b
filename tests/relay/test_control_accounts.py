"""What the desk tells of accounts and does to them: consent, ends, a try to log in, a pause."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.script import Behaviour
from fakes.smarthost import Smarthost
from fakes.stocked_spool import NOON, FakeDaemon, office_config

from presets.reply import Reply
from relay.config.model import Config
from relay.control.daemon import Offline
from relay.control.desk import Desk
from relay.control.errors import Declined
from relay.delivery.trouble import BY_OPERATOR
from relay.spool.ledger_entry import BlockedBy, PausedAccount
from relay.spool.sqlite import SqliteSpool, open_spool
from relay.spool.vault_entry import Grant

USER = "bakker@example.nl"
MICROSOFT = f"""
[[smarthost]]
name = "m365"
preset = "microsoft365"
username = "{USER}"
[smarthost.oauth2]
client_id = "11111111-2222-3333-4444-555555555555"
"""
APP = """flow = "client-credentials"
tenant = "bakery"
client_secret = { file = "isp.secret" }
"""
GRANT = Grant("refresh-1", "access-1", NOON + timedelta(hours=1), NOON, NOON, ("SMTP.Send",))
ACCOUNT = ("smtp.office365.com", USER)


class Daemon(FakeDaemon):
    """Notes what it is told of accounts, too."""

    async def granted(self, host: str, username: str) -> None:
        self.calls.append(f"granted {username}")


class Office:
    def __init__(self, directory: Path, tables: str) -> None:
        self.config: Config = office_config(directory, tables)
        self.spool: SqliteSpool = open_spool(directory / "spool.db", lambda: NOON)
        self.daemon = Daemon(self.config, self.spool)
        self.desk = Desk(self.spool, self.daemon, lambda: NOON)
        self.stopped = Desk(
            self.spool, Offline(self.config, self.spool, lambda: NOON), lambda: NOON
        )

    async def account(self, language: str = "en") -> dict[str, Any]:
        (found,) = (await self.desk.account_list(language))["accounts"]
        assert isinstance(found, dict)
        return found

    async def pause(self, cause: str, reply: Reply | None = None) -> None:
        pause = PausedAccount(*ACCOUNT, NOON, NOON + timedelta(minutes=15), 1, cause, reply, None)
        await self.spool.ledger.pause(pause)


@pytest.fixture
async def make_office(tmp_path: Path) -> AsyncIterator[Callable[[str], Office]]:
    made: list[Office] = []

    def make(tables: str) -> Office:
        made.append(Office(tmp_path, tables))
        return made[-1]

    yield make
    for office in made:
        await office.spool.close()


def with_password(preset: str = "", host: str = "") -> str:
    where = f'preset = "{preset}"' if preset else f'host = "{host}"'
    return (
        f'[[smarthost]]\nname = "isp"\n{where}\nusername = "{USER}"\n'
        'password = { file = "isp.secret" }\n'
    )


@pytest.mark.parametrize(
    ("preset", "host", "deadline"),
    [
        ("ziggo", "", None),
        ("microsoft365", "", "2026-12-31"),
        ("", "smtp.office365.com", "2026-12-31"),
        ("", "mail.example.net", None),
    ],
)
async def test_a_password_has_the_day_that_its_provider_named(
    make_office: Callable[[str], Office], preset: str, host: str, deadline: str | None
) -> None:
    account = await make_office(with_password(preset, host)).account()
    assert (account["auth"], account["deadline"]) == ("password", deadline)
    assert (account["consent"], account["works_until"]) == ("not-needed", None)
    assert account["works_until_reason"] == "not-applicable"


async def test_without_a_grant_consent_is_needed(make_office: Callable[[str], Office]) -> None:
    account = await make_office(MICROSOFT).account()
    kinds = {key: account[key] for key in ("auth", "issuer", "flow", "consent", "deadline")}
    assert kinds == {
        "auth": "oauth2",
        "issuer": "microsoft",
        "flow": "code",
        "consent": "needed",
        "deadline": None,
    }
    assert (account["works_until"], account["refreshed_at"]) == (None, None)


async def test_a_grant_says_until_when_and_why(make_office: Callable[[str], Office]) -> None:
    office = make_office(MICROSOFT)
    await office.spool.vault.keep(*ACCOUNT, GRANT)
    account = await office.account("nl")
    assert account["consent"] == "given"
    assert account["consented_at"] == account["refreshed_at"] == "2026-11-21T12:00:00.000Z"
    assert account["works_until"] == "2027-02-19T12:00:00.000Z", "90 days without any use"
    assert account["works_until_reason"] == "microsoft-idle"
    assert "90 dagen" in account["works_until_why"]


async def test_an_app_with_a_secret_needs_nobody(make_office: Callable[[str], Office]) -> None:
    office = make_office(
        MICROSOFT + 'flow = "client-credentials"\ntenant = "bakery"\n'
        'client_secret = { file = "isp.secret" }\nsecret_expires = 2027-01-31\n'
    )
    account = await office.account()
    assert account["consent"] == "not-needed"
    assert account["works_until"] == "2027-01-31T00:00:00.000Z"
    assert account["works_until_reason"] == "secret"


async def test_a_lost_consent_is_needed_again_with_its_steps(
    make_office: Callable[[str], Office],
) -> None:
    office = make_office(MICROSOFT)
    await office.spool.vault.keep(*ACCOUNT, GRANT)
    await office.pause("grant-revoked")
    account = await office.account()
    assert (account["paused"], account["consent"]) == (True, "needed")
    assert account["explanation"]["retry"] == "after-change"
    assert account["steps"] == account["explanation"]["steps"]
    assert any("relay account login" in step for step in account["steps"])
    assert USER in " ".join(account["steps"]) or "m365" in " ".join(account["steps"])


async def test_a_lost_consent_works_until_no_date(make_office: Callable[[str], Office]) -> None:
    office = make_office(MICROSOFT)
    await office.spool.vault.keep(*ACCOUNT, GRANT)
    await office.pause("grant-revoked")
    account = await office.account()
    assert (account["works_until"], account["works_until_reason"]) == (None, "unknown")


@pytest.mark.parametrize(
    ("flow", "word"),
    [("", "mailbox that consented"), (APP, "New-ServicePrincipal")],
    ids=["person", "app"],
)
async def test_a_refused_token_brings_no_advice_about_passwords(
    make_office: Callable[[str], Office], flow: str, word: str
) -> None:
    office = make_office(MICROSOFT + flow)
    await office.spool.vault.keep(*ACCOUNT, GRANT)
    await office.pause("wrong-password", Reply(535, "5.7.8", "Error: authentication failed"))
    explanation = (await office.account())["explanation"]
    told = " ".join([explanation["meaning"], *explanation["steps"]])
    assert word in told
    assert "password" not in told


async def test_a_refused_app_gets_the_lines_for_powershell(
    make_office: Callable[[str], Office],
) -> None:
    office = make_office(MICROSOFT + APP)
    reply = Reply(535, "5.7.3", "Authentication unsuccessful")
    await office.pause("login-refused", reply)
    steps = " ".join((await office.account())["steps"])
    assert "New-ServicePrincipal" in steps
    assert "11111111-2222-3333-4444-555555555555" in steps


async def test_damaged_tokens_are_told_and_hide_no_other_account(
    make_office: Callable[[str], Office], tmp_path: Path
) -> None:
    office = make_office(MICROSOFT + with_password("ziggo"))
    tokens = tmp_path / "spool.db.tokens"
    tokens.touch(0o600)
    tokens.write_text("{")
    m365, isp = (await office.desk.account_list("nl"))["accounts"]
    assert m365["consent"] == "unknown"
    assert "relay account login" in m365["vault_error"]
    assert (isp["vault_error"], isp["auth"]) == (None, "password")


async def test_a_grant_is_kept_and_ends_the_pause(make_office: Callable[[str], Office]) -> None:
    office = make_office(MICROSOFT)
    await office.pause("consent-needed")
    done = await office.desk.account_grant("m365", GRANT)
    assert (done["resumed"], done["username"]) == (True, USER)
    assert await office.spool.vault.grant(*ACCOUNT) == GRANT
    assert await office.spool.ledger.paused() == ()
    assert office.daemon.calls == [f"granted {USER}", "mail_due"]
    assert "refresh-1" not in repr(done)


async def test_a_password_account_takes_no_grant(make_office: Callable[[str], Office]) -> None:
    office = make_office(with_password("ziggo"))
    with pytest.raises(Declined, match="OAuth2"):
        await office.desk.account_grant("isp", GRANT)
    assert office.daemon.calls == []


async def test_a_user_name_at_two_servers_is_ambiguous(
    make_office: Callable[[str], Office],
) -> None:
    office = make_office(MICROSOFT + with_password("ziggo"))
    with pytest.raises(Declined, match="m365, isp"):
        await office.desk.account_test(USER)
    with pytest.raises(Declined, match="account list"):
        await office.desk.account_test("nobody")


async def test_a_pause_by_hand_lasts_until_resumed(make_office: Callable[[str], Office]) -> None:
    office = make_office(with_password("ziggo"))
    done = await office.stopped.account_pause("isp")
    assert done["paused"] == [{"host": "smtp.ziggo.nl", "username": USER}]
    account = await office.account()
    assert (account["paused_until"], account["cause"]) == (None, BY_OPERATOR)
    assert account["explanation"] is None
    lanes = await office.spool.ledger.lanes()
    assert lanes["isp"].block is not None
    assert lanes["isp"].block.by is BlockedBy.ACCOUNT
    status = await office.desk.status()
    assert [each["id"] for each in status["problems"]] == ["account-paused"]
    assert (await office.stopped.account_resume("isp"))["resumed"] == done["paused"]
    assert (await office.spool.ledger.lanes())["isp"].block is None


@pytest.fixture
def fake(authority: Authority) -> Iterator[Smarthost]:
    behaviour = Behaviour(
        tls="starttls", context=authority.issue().server_context(), users={USER: "geheim"}
    )
    with Smarthost(behaviour) as smarthost:
        yield smarthost


def at(fake: Smarthost, authority: Authority) -> str:
    return with_password(host="127.0.0.1") + (
        f'port = {fake.port}\ntls = "starttls"\nca_file = "{authority.ca_file}"\n'
    )


def logins(fake: Smarthost) -> int:
    return sum(len(session.logins) for session in fake.sessions)


async def test_an_accepted_login_is_told_in_full(
    make_office: Callable[[str], Office], fake: Smarthost, authority: Authority
) -> None:
    office = make_office(at(fake, authority))
    found = await office.stopped.account_test("isp")
    assert (found["tested"], found["accepted"], found["refused_because"]) == (True, True, None)
    assert (found["mechanism"], found["mechanisms_offered"]) == ("PLAIN", ["PLAIN", "LOGIN"])
    assert (found["smarthost"], found["username"], found["address"]) == ("isp", USER, "127.0.0.1")
    assert (found["cause"], found["scope"], found["explanation"]) == (None, None, None)
    assert fake.received == []


async def test_a_refusal_is_the_one_try_of_its_period(
    make_office: Callable[[str], Office], fake: Smarthost, authority: Authority
) -> None:
    fake.behaviour.users = {USER: "another"}
    office = make_office(at(fake, authority))
    first = await office.stopped.account_test("isp", language="nl")
    assert (first["accepted"], first["scope"], first["phase"]) == (False, "account", "auth")
    assert first["reply"]["code"] == 535
    assert first["explanation"]["steps"]
    (pause,) = await office.spool.ledger.paused()
    assert (pause.refusals, pause.until) == (1, NOON + timedelta(minutes=15))
    again = await office.stopped.account_test("isp")
    assert (again["tested"], again["refused_because"]) == (False, "paused")
    assert again["paused_until"] == "2026-11-21T12:15:00.000Z"
    assert again["reply"]["code"] == 535
    assert logins(fake) == 1, "nothing was dialled"
    forced = await office.stopped.account_test("isp", force=True)
    assert (forced["tested"], forced["accepted"]) == (True, False)
    (pause,) = await office.spool.ledger.paused()
    assert (pause.refusals, pause.until) == (2, NOON + timedelta(hours=1))


async def test_a_login_ends_the_pause(
    make_office: Callable[[str], Office], fake: Smarthost, authority: Authority
) -> None:
    office = make_office(at(fake, authority))
    reply = Reply(535, "5.7.8", "no")
    pause = PausedAccount("127.0.0.1", USER, NOON, None, 3, "login-refused", reply, None)
    await office.spool.ledger.pause(pause)
    assert (await office.stopped.account_test("isp"))["refused_because"] == "paused"
    assert (await office.stopped.account_test("isp", force=True))["accepted"]
    assert await office.spool.ledger.paused() == ()


async def test_what_does_not_answer_pauses_nothing(
    make_office: Callable[[str], Office], fake: Smarthost, authority: Authority
) -> None:
    office = make_office(at(fake, authority))
    fake.stop()
    found = await office.stopped.account_test("isp")
    assert (found["tested"], found["accepted"], found["scope"]) == (True, False, "connection")
    assert await office.spool.ledger.paused() == ()


async def test_a_due_try_is_made(
    make_office: Callable[[str], Office], fake: Smarthost, authority: Authority
) -> None:
    office = make_office(at(fake, authority))
    pause = PausedAccount(
        "127.0.0.1", USER, NOON - timedelta(hours=1), NOON, 1, "login-refused", None, None
    )
    await office.spool.ledger.pause(replace(pause, until=NOON - timedelta(minutes=1)))
    assert (await office.stopped.account_test("isp"))["accepted"]
