"""The smarthost is away, refuses, or turns bad: nothing is lost, doubled or said in clear."""

from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.invoice import body, invoice, parsed, pdf
from fakes.peers import needs
from fakes.postfix import Postfix, Settings
from fakes.relay_process import RelayProcess
from fakes.script import Action, Behaviour, nth_time
from fakes.smarthost import Smarthost

ACCOUNT = "mijnbakkerij@ziggo.nl"
SENDER = "info@mijnbakkerij.nl"
real_postfix = needs("postfix", "saslpasswd2", "sasl-plain")


def starttls(authority: Authority) -> Behaviour:
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, users={"bakker": "geheim"})


@real_postfix
@pytest.mark.parametrize("ending", ["SIGTERM", "kill -9"])
def test_what_came_during_an_outage_arrives_once_though_the_relay_restarts(
    tmp_path: Path, authority: Authority, ending: str
) -> None:
    relay = RelayProcess(tmp_path)
    sent = {
        f"klant{n}@example.net": invoice(SENDER, ["x@example.net"], number=n, attached=pdf(30_000))
        for n in range(6)
    }
    with Postfix(authority.issue()) as postfix:
        relay.add_smarthost(postfix.port, authority.ca_file)
        with relay:
            relay.send(SENDER, ["klant0@example.net"], sent["klant0@example.net"])
            postfix.wait_for(1)
            postfix.stop()
            for n in (1, 2, 3):
                relay.send(SENDER, [f"klant{n}@example.net"], sent[f"klant{n}@example.net"])
            relay.wait_for_event("paused")
            if ending == "SIGTERM":
                assert relay.sigterm() == 0
            else:
                relay.kill9()
            assert len(relay.queue()) == 3
            relay.start()
            for n in (4, 5):
                relay.send(SENDER, [f"klant{n}@example.net"], sent[f"klant{n}@example.net"])
            waiting = relay.queue()
            assert len(waiting) == 5
            assert {message["state"] for message in waiting} == {"queued"}
            postfix.start()
            relay.retry_all()
            postfix.wait_for(6)
            relay.wait_until(lambda: relay.queue() == [])
        copies = postfix.delivered()
    assert sorted(copy.recipient for copy in copies) == sorted(sent)
    for copy in copies:
        assert copy.content.endswith(b"\r\n" + sent[copy.recipient])


@real_postfix
def test_a_refused_recipient_of_three_yields_one_dsn_that_the_smarthost_takes(
    tmp_path: Path, authority: Authority
) -> None:
    settings = Settings(
        users={ACCOUNT: "geheim"},
        own_senders={ACCOUNT: ACCOUNT, SENDER: ACCOUNT},
        refused_recipients={"weg@example.net": "550 5.1.1 mailbox unknown"},
        refuse_null_sender=True,
    )
    relay = RelayProcess(tmp_path)
    content = invoice(SENDER, ["een@example.net", "weg@example.net", "twee@example.net"])
    with Postfix(authority.issue(), settings) as postfix:
        relay.add_smarthost(postfix.port, authority.ca_file, username=ACCOUNT)
        with relay:
            relay.send(SENDER, ["een@example.net", "weg@example.net", "twee@example.net"], content)
            postfix.wait_for(3)
            relay.wait_until(lambda: relay.queue() == [])
        copies = postfix.delivered()
    assert sorted(copy.recipient for copy in copies) == [
        "een@example.net",
        SENDER,
        "twee@example.net",
    ]
    (report,) = [copy for copy in copies if copy.recipient == SENDER]
    assert report.sender == ACCOUNT
    message = parsed(report.content)
    assert message["From"].addresses[0].addr_spec == ACCOUNT
    assert message["Auto-Submitted"] == "auto-replied"
    assert message.get_content_type() == "multipart/report"
    explanation, status, returned = message.iter_parts()
    assert "weg@example.net" in explanation.get_content()
    assert "mailbox unknown" in explanation.get_content()
    fields = status.as_string()
    assert "Final-Recipient: rfc822; weg@example.net" in fields
    assert "Action: failed" in fields
    assert "Status: 5.1.1" in fields
    assert "een@example.net" not in fields
    assert "Factuur 1" in returned.as_string()


def test_a_smarthost_that_stops_offering_starttls_gets_no_login_and_the_mail_stays(
    tmp_path: Path, authority: Authority
) -> None:
    good = starttls(authority)
    stripped = Behaviour(users={"bakker": "geheim"}, login_without_tls=True)
    relay = RelayProcess(tmp_path)
    with Smarthost(good) as smarthost:
        relay.add_smarthost(smarthost.port, authority.ca_file)
        with relay:
            relay.send(SENDER, ["een@example.net"], invoice(SENDER, ["een@example.net"]))
            relay.wait_for_event("delivered")
            smarthost.stop()
            smarthost.behaviour = stripped
            before = len(smarthost.sessions)
            smarthost.start()
            relay.send(SENDER, ["twee@example.net"], invoice(SENDER, ["twee@example.net"]))
            relay.wait_for_event("paused")
            (waiting,) = relay.queue()
            assert waiting["state"] == "queued"
            assert waiting["waiting_for"] == "smarthost"
            seen = smarthost.sessions[before:]
            assert seen
            assert [session.logins for session in seen] == [[]] * len(seen)
            for session in seen:
                assert not {"AUTH", "MAIL"} & set(session.verbs)
                assert b"AUTH" not in bytes(session.received).upper()
            smarthost.stop()
            smarthost.behaviour = good
            smarthost.start()
            relay.retry_all()
            smarthost.wait_for(2)
            relay.wait_until(lambda: relay.queue() == [])
    assert [one.recipients[0].address for one in smarthost.received] == [
        "een@example.net",
        "twee@example.net",
    ]


def test_a_smarthost_with_an_unknown_certificate_gets_no_login(
    tmp_path: Path, authority: Authority, unknown_authority: Authority
) -> None:
    relay = RelayProcess(tmp_path)
    with Smarthost(starttls(unknown_authority)) as smarthost:
        relay.add_smarthost(smarthost.port, authority.ca_file)
        with relay:
            relay.send(SENDER, ["een@example.net"], invoice(SENDER, ["een@example.net"]))
            relay.wait_for_event("paused")
            assert [message["waiting_for"] for message in relay.queue()] == ["smarthost"]
    assert all(session.logins == [] for session in smarthost.sessions)


def test_a_lost_reply_to_the_final_dot_is_shown_as_in_doubt_and_sent_again(
    tmp_path: Path, authority: Authority
) -> None:
    behaviour = starttls(authority)
    behaviour.script = {"DOT": nth_time({1: Action(drop="before")}), "BDAT": nth_time({})}
    relay = RelayProcess(tmp_path)
    content = invoice(SENDER, ["een@example.net"])
    with Smarthost(behaviour) as smarthost:
        relay.add_smarthost(smarthost.port, authority.ca_file)
        with relay:
            relay.send(SENDER, ["een@example.net"], content)
            relay.wait_for_event("deferred")
            (waiting,) = relay.queue()
            assert waiting["in_doubt"] is True
            relay.retry_all()
            smarthost.wait_for(1)
    first, second = smarthost.received
    assert (first.reply, second.reply[:3]) == ("", "250")
    assert body(first.content) == body(second.content) == body(content)
    assert parsed(first.content)["Message-ID"] == parsed(second.content)["Message-ID"]
