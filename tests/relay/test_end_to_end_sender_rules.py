"""A sender that the account may not use: held, proposed, cured by one command, delivered."""

import subprocess
from pathlib import Path

from fakes.certificates import Authority
from fakes.invoice import body, invoice, parsed, pdf
from fakes.peers import needs, program
from fakes.postfix import Postfix, Settings
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour, Command
from fakes.smarthost import Smarthost

ACCOUNT = "bakker@mijnbakkerij.nl"
SENDER = "info@mijnbakkerij.nl"
DENIED = f"554 5.2.252 SendAsDenied; {ACCOUNT} not allowed to send as {SENDER}; STOREDRV.Submission"


def microsoft(authority: Authority) -> Smarthost:
    """Takes the account's own From only, and says so after the message, as Microsoft 365 does."""
    context = authority.issue().server_context()
    behaviour = Behaviour(tls="starttls", context=context, users={ACCOUNT: "geheim"})
    smarthost = Smarthost(behaviour)

    def judge(_: Command) -> str | None:
        author = parsed(smarthost.received[-1].content)["From"].addresses[0].addr_spec
        return None if author == ACCOUNT else DENIED

    behaviour.script = {"DOT": judge}
    return smarthost


def test_send_as_denied_is_cured_by_the_command_that_queue_show_names(
    tmp_path: Path, authority: Authority
) -> None:
    relay = RelayProcess(tmp_path)
    relay.language = "en"
    sent = invoice(f"Mijn Bakkerij <{SENDER}>", ["klant@example.net"], attached=pdf(30_000))
    with microsoft(authority) as smarthost:
        relay.add_smarthost(
            smarthost.port, authority.ca_file, preset="microsoft365", username=ACCOUNT
        )
        with relay:
            warned = relay.run("why", "127.0.0.1", SENDER)
            assert warned.code == 0
            assert "may not send so" in warned.out
            for number in range(3):
                relay.send(SENDER, [f"klant{number}@example.net"], sent)
            relay.wait_for_event("held", 3)
            assert smarthost.accepted == []
            id_ = relay.queue()[0]["id"]
            shown = relay.run("queue", "show", id_)
            command = f"relay queue cure {id_}"
            assert f"\n  {command}\n" in shown.out
            assert f'  sender = {{ policy = "rewrite", address = "{ACCOUNT}" }}' in shown.out
            cured = relay.run(*command.split()[1:])
            assert (cured.code, "released: 3" in cured.out) == (0, True), cured
            smarthost.wait_for(3)
            relay.send(SENDER, ["later@example.net"], sent)
            copies = smarthost.wait_for(4)
            relay.wait_until(lambda: relay.queue() == [])
            again = relay.run("queue", "cure", id_)
            assert (again.code, again.out) == (1, "")
            assert "is not held for its sender" in again.err
            assert relay.run("queue", "cure", "0000000000000").code == 1
            assert f"rule for {SENDER}" in relay.run("why", "127.0.0.1", SENDER).out
            assert ACCOUNT in relay.run("sender", "list").out
            assert relay.run("sender", "remove", SENDER).code == 0
            assert relay.run("sender", "remove", SENDER).code == 1
            relay.send(SENDER, ["terug@example.net"], sent)
            relay.wait_for_event("held", 4)
            # The relay stopped, the same command works on the spool.
            (left,) = relay.queue()
            assert relay.sigterm() == 0
            offline = relay.run("queue", "cure", left["id"], "--json")
            assert offline.json["released"] == [left["id"]]
            relay.start()
            copies = smarthost.wait_for(5)
    for copy in copies:
        message = parsed(copy.content)
        assert copy.sender.address == ACCOUNT
        assert str(message["From"]) == f"Mijn Bakkerij <{ACCOUNT}>"
        assert str(message["Reply-To"]) == f"Mijn Bakkerij <{SENDER}>"
        assert str(message["X-Original-From"]) == f"Mijn Bakkerij <{SENDER}>"
        assert body(copy.content) == body(sent)


@needs("postfix", "saslpasswd2", "sasl-plain", "swaks")
def test_a_real_postfix_that_checks_who_owns_a_sender(tmp_path: Path, authority: Authority) -> None:
    relay = RelayProcess(tmp_path)
    settings = Settings(users={"bakker": "geheim"}, own_senders={ACCOUNT: "bakker"})
    with Postfix(authority.issue(), settings) as postfix:
        relay.add_smarthost(postfix.port, authority.ca_file, username="bakker")
        with relay:
            for sender in (SENDER, "kassa@mijnbakkerij.nl"):
                _swaks(relay, sender)
            relay.wait_for_event("held", 2)
            assert {message["state"] for message in relay.queue()} == {"held"}
            id_ = relay.queue()[0]["id"]
            asked = relay.run("queue", "cure", id_, "--json")
            assert (asked.code, asked.json["reason"]) == (1, "no-address"), (
                "the login is no address"
            )
            wrong = relay.run("queue", "cure", id_, "--as", "ook@mijnbakkerij.nl", "--json")
            assert wrong.json["released"] == [id_]
            relay.wait_for_event("held", 3)
            cured = relay.run("queue", "cure", id_, "--as", ACCOUNT, "--domain", "--json")
            assert [rule["sender"] for rule in cured.json["rules"]] == ["*@mijnbakkerij.nl"]
            postfix.wait_for(2)
            _swaks(relay, "winkel@mijnbakkerij.nl")
            postfix.wait_for(3)
            copies = postfix.delivered()
    for copy in copies:
        assert copy.sender == ACCOUNT
        assert parsed(copy.content)["From"].addresses[0].addr_spec == ACCOUNT
        assert parsed(copy.content)["Reply-To"].addresses[0].domain == "mijnbakkerij.nl"


def _swaks(relay: RelayProcess, sender: str) -> None:
    command = [program("swaks"), "--server", relay.host, "--port", str(relay.port)]
    command += ["--from", sender, "--to", "klant@example.net", "--suppress-data"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
