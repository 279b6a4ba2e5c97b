"""Microsoft 365 refuses a sender after the final dot: held, explained, and cured by one command."""

from pathlib import Path

from fakes.certificates import Authority
from fakes.invoice import body, invoice, parsed
from fakes.microsoft365 import Microsoft365
from fakes.relay_process import RelayProcess

ACCOUNT = "facturen@mijnbakkerij.example"
INFO = "info@mijnbakkerij.example"
PASSWORD = "CANARY-zuurdesem-42"


def content(author: str, number: int) -> bytes:
    return invoice(f"Mijn Bakkerij <{author}>", [f"klant{number}@example.net"], number=number)


def submit(relay: RelayProcess, author: str, number: int) -> None:
    relay.send(author, [f"klant{number}@example.net"], content(author, number))


def test_mail_of_a_sender_that_the_account_may_not_use_is_held_until_one_command_cures_it(
    tmp_path: Path, authority: Authority
) -> None:
    relay = RelayProcess(tmp_path)
    with Microsoft365(
        authority.issue().server_context(), passwords={ACCOUNT: PASSWORD}
    ) as microsoft:
        relay.add_smarthost(
            microsoft.port,
            authority.ca_file,
            preset="microsoft365",
            username=ACCOUNT,
            password=PASSWORD,
        )
        with relay:
            submit(relay, INFO, 1)
            submit(relay, INFO, 2)
            submit(relay, ACCOUNT, 3)
            held = relay.wait_for_event("held", 2)
            microsoft.wait_until(lambda: len(microsoft.messages) == 1)
            assert {one["cause"] for one in held} == {"send-as-denied"}
            queue = relay.queue()
            assert [one["state"] for one in queue] == ["held", "held"]

            message = relay.run("queue", "show", queue[0]["id"], "--json").json
            (cure,) = message["cures"]
            assert (cure["sender"], cure["address"], cure["remedy"]) == (INFO, ACCOUNT, "adopt")
            assert cure["command"] == f"relay queue cure {queue[0]['id']}"
            shown = relay.run("queue", "show", queue[0]["id"])
            assert cure["command"] in shown.out
            assert "SendAsDenied" in shown.out

            # The command as it is shown, and nothing else.
            assert relay.run(*cure["command"].split()[1:]).code == 0
            microsoft.wait_until(lambda: len(microsoft.messages) == 3)
            submit(relay, INFO, 4)
            microsoft.wait_until(lambda: len(microsoft.messages) == 4)
            relay.wait_until(lambda: relay.queue() == [])
            assert relay.log_events("failed") == relay.log_events("dsn") == []
            assert relay.log_events("paused") == []
    refused = [one for one in microsoft.received if "SendAsDenied" in one.reply]
    assert len(refused) == 2
    assert {message.authors for message in microsoft.messages} == {(ACCOUNT,)}
    for number, message in enumerate(
        sorted(microsoft.messages, key=lambda one: one.recipients), start=1
    ):
        author = ACCOUNT if number == 3 else INFO
        assert message.recipients == (f"klant{number}@example.net",)
        assert message.sender == ACCOUNT
        assert body(message.content) == body(content(author, number))
        if author == INFO:
            sent = parsed(message.content)
            assert sent["From"] == f"Mijn Bakkerij <{ACCOUNT}>"
            assert sent["Reply-To"].addresses[0].addr_spec == INFO
            assert INFO in sent["X-Original-From"]
