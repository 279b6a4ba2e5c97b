"""The fake Microsoft 365 refuses what Exchange Online refuses, when and as it does."""

import base64
import json
import smtplib  # noqa: TID251 -- an independent client to try our fake with
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fakes import microsoft365_words as words
from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.microsoft365 import Limits, Microsoft365
from fakes.scaled_time import ScaledClock

ACCOUNT = "bakker@mijnbakkerij.example"
PASSWORD = "CANARY-zuurdesem-42"
CUSTOMER = "klant@example.org"
INVOICE = invoice(f"Mijn Bakkerij <{ACCOUNT}>", [CUSTOMER])


class StoppedClock(ScaledClock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        super().__init__(1)
        self.at = 0.0

    def seconds(self) -> float:
        return self.at


class Client(smtplib.SMTP):
    def __init__(self, fake: Microsoft365, authority: Authority) -> None:
        super().__init__("localhost", fake.port, timeout=10)
        self.ehlo()
        self.starttls(context=authority.client_context())
        self.ehlo()

    def xoauth2(self, username: str, token: str) -> tuple[int, str]:
        said = f"user={username}\1auth=Bearer {token}\1\1".encode()
        code, reply = self.docmd("AUTH", "XOAUTH2 " + base64.b64encode(said).decode())
        return code, reply.decode()

    def submit(self, *, to: str = CUSTOMER, sender: str = ACCOUNT, content: bytes = INVOICE) -> str:
        """The reply that ended the transaction, whichever it was."""
        try:
            for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>"):
                code, reply = self.docmd(command)
                if code >= 300:
                    return f"{code} {reply.decode()}"
            code, reply = self.data(content)
        except smtplib.SMTPServerDisconnected as error:
            return str(error)
        return f"{code} {reply.decode()}"


Connect = Callable[[], Client]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def microsoft(authority: Authority, clock: StoppedClock) -> Iterator[Microsoft365]:
    with Microsoft365(
        authority.issue().server_context(),
        clock,
        passwords={ACCOUNT: PASSWORD},
        user_of={"good": ACCOUNT, "else": "ander@mijnbakkerij.example"}.get,
    ) as fake:
        yield fake


@pytest.fixture
def connect(microsoft: Microsoft365, authority: Authority) -> Iterator[Connect]:
    clients: list[Client] = []

    def one() -> Client:
        clients.append(Client(microsoft, authority))
        clients[-1].login(ACCOUNT, PASSWORD)
        return clients[-1]

    yield one
    for client in clients:
        client.close()


@contextmanager
def anonymous(fake: Microsoft365, authority: Authority) -> Iterator[Client]:
    client = Client(fake, authority)
    try:
        yield client
    finally:
        client.close()


def test_it_offers_what_exchange_online_offers(
    microsoft: Microsoft365, authority: Authority
) -> None:
    with smtplib.SMTP("localhost", microsoft.port, timeout=10) as bare:
        assert "auth" not in (bare.ehlo()[1].decode().lower())
        assert bare.docmd("AUTH", "LOGIN")[0] == 504
        assert bare.docmd("MAIL", f"FROM:<{ACCOUNT}>")[0] == 530
    with anonymous(microsoft, authority) as client:
        assert client.ehlo_resp is not None
        assert client.ehlo_resp.decode().splitlines()[1:] == [
            *("SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES"),
            *("AUTH LOGIN XOAUTH2", "8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8"),
        ]
        assert client.docmd("AUTH", "PLAIN")[0] == 504
        assert client.submit().startswith("530 5.7.57 Client not authenticated to send mail")
    assert microsoft.logins == []


def test_a_mail_under_a_token(microsoft: Microsoft365, authority: Authority) -> None:
    with anonymous(microsoft, authority) as client:
        assert client.xoauth2(ACCOUNT, "good")[0] == 235
        assert client.submit().startswith("250 2.0.0 OK")
    (message,), (login,) = microsoft.messages, microsoft.logins
    assert (message.account, message.authors, message.sender) == (ACCOUNT, (ACCOUNT,), ACCOUNT)
    assert (message.recipients, message.content) == ((CUSTOMER,), INVOICE)
    assert (login.mechanism, login.username, login.secret) == ("XOAUTH2", ACCOUNT, "good")
    assert login.accepted
    assert microsoft.violations == []


@pytest.mark.parametrize("token", ["bad", "else", ""])
def test_a_token_that_is_not_the_users_is_refused_with_json(
    microsoft: Microsoft365, authority: Authority, token: str
) -> None:
    with anonymous(microsoft, authority) as client:
        code, challenge = client.xoauth2(ACCOUNT, token)
        assert code == 334
        assert json.loads(base64.b64decode(challenge))["status"] == "401"
        assert client.docmd("")[1].decode().startswith("5.7.3 Authentication unsuccessful")
        assert client.submit().startswith("530")
    with anonymous(microsoft, authority) as client:
        microsoft.explains_refused_tokens = False
        assert client.xoauth2(ACCOUNT, token)[0] == 535
    assert [each.accepted for each in microsoft.refused_logins] == [False, False]


def test_wrong_passwords_lock_the_account_for_a_while(
    microsoft: Microsoft365, authority: Authority, clock: StoppedClock
) -> None:
    def login(password: str) -> str:
        with anonymous(microsoft, authority) as client:
            client.user, client.password = ACCOUNT, password
            try:
                return client.auth("LOGIN", client.auth_login)[1].decode()
            except smtplib.SMTPAuthenticationError as error:
                return str(error.smtp_error)

    tries = microsoft.rules.limits.wrong_logins
    assert all("credentials were incorrect" in login("wrong") for _ in range(tries))
    assert microsoft.violations == []
    assert "account is temporarily locked" in login(PASSWORD)
    assert [each.limit for each in microsoft.violations] == ["locked"]
    clock.at = 61.0
    assert login(PASSWORD).startswith("2.7.0")
    microsoft.refuses_passwords = words.BASIC_RETIRED
    assert "not supported for Client Submission" in login(PASSWORD)
    assert len(microsoft.refused_logins) == tries + 2


@pytest.mark.parametrize(
    ("sender", "author", "denied"),
    [
        (ACCOUNT, "info@mijnbakkerij.example", "info@mijnbakkerij.example"),
        ("info@mijnbakkerij.example", ACCOUNT, "info@mijnbakkerij.example"),
        ("", ACCOUNT, ""),
        (ACCOUNT.upper(), ACCOUNT.title(), None),
    ],
)
def test_who_sends_as_another_hears_so_after_the_final_dot(
    microsoft: Microsoft365, connect: Connect, sender: str, author: str, denied: str | None
) -> None:
    client = connect()
    reply = client.submit(sender=sender, content=invoice(author, [CUSTOMER]))
    if denied is None:
        assert reply.startswith("250")
        return
    assert reply.startswith(f"554 5.2.252 SendAsDenied; {ACCOUNT} not allowed to send as {denied};")
    assert len(microsoft.received) == 1
    assert microsoft.messages == []
    microsoft.send_as[ACCOUNT] = {denied}
    assert client.submit(sender=sender, content=invoice(author, [CUSTOMER])).startswith("250")


def test_a_message_without_from_is_nobodys(microsoft: Microsoft365, connect: Connect) -> None:
    assert "SendAsDenied" in connect().submit(content=b"Subject: x\r\n\r\ny\r\n")
    assert microsoft.messages == []


@pytest.mark.parametrize(
    ("moment", "reply"),
    [
        ("DOT", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        ("MAIL", "432 4.3.2 Concurrent connections limit exceeded"),
    ],
)
def test_a_fourth_connection_is_a_violation_and_sends_nothing(
    microsoft: Microsoft365, connect: Connect, moment: str, reply: str
) -> None:
    microsoft.refuses_crowd_at = "MAIL" if moment == "MAIL" else "DOT"
    clients = [connect() for _ in range(3)]
    assert microsoft.violations == []
    assert connect().submit().startswith(reply)
    assert [each.limit for each in microsoft.violations] == ["connections"]
    assert [client.submit()[:3] for client in clients] == ["250"] * 3


def test_who_has_left_makes_room_at_once(microsoft: Microsoft365, connect: Connect) -> None:
    for _ in range(20):
        clients = [connect() for _ in range(3)]
        for client in clients:
            client.quit()
    assert microsoft.violations == []


def test_the_thirty_first_message_of_any_minute_is_refused_and_ends_the_session(
    microsoft: Microsoft365, connect: Connect, clock: StoppedClock
) -> None:
    client = connect()
    for second in range(30):
        clock.at = float(second)
        assert client.submit().startswith("250")
    clock.at = 59.9
    assert client.submit().startswith("421 4.4.2 Message submission rate for this client")
    assert client.submit() == "Connection unexpectedly closed"
    assert [(each.limit, each.at) for each in microsoft.violations] == [("rate", 59.9)]
    clock.at = 60.0
    client = connect()
    assert client.submit().startswith("250")
    assert client.submit().startswith("421")
    assert len(microsoft.messages) == 31


def test_recipients_of_a_message_and_of_a_day_are_limited(
    authority: Authority, clock: StoppedClock
) -> None:
    context = authority.issue().server_context()
    limits = Limits(recipients_per_message=3, recipients_per_day=4)
    with (
        Microsoft365(context, clock, passwords={ACCOUNT: PASSWORD}, limits=limits) as fake,
        anonymous(fake, authority) as client,
    ):
        client.login(ACCOUNT, PASSWORD)
        refused = client.sendmail(ACCOUNT, [f"klant{n}@example.org" for n in range(4)], INVOICE)
        assert refused == {"klant3@example.org": (452, b"4.5.3 Too many recipients [S15002]")}
        clock.at = 3600.0
        assert client.submit().startswith("250")
        assert "SubmissionQuotaExceededException" in client.submit()
        clock.at = 86400.0
        assert client.submit().startswith("250")
        assert [(each.limit, each.at) for each in fake.violations] == [("recipients", 3600.0)]


def test_a_session_may_end_after_so_many_messages(
    microsoft: Microsoft365, connect: Connect
) -> None:
    microsoft.messages_per_session = 2
    client = connect()
    replies = [client.submit()[:3] for _ in range(3)]
    assert replies == ["250", "250", "Con"]
    assert len(microsoft.messages) == 2
