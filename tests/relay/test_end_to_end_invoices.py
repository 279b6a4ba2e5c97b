"""The invoice runs of the first users, Compad Bakkerij and AccountView, through a real Postfix."""

import smtplib  # noqa: TID251 -- plays AccountView
from pathlib import Path

from fakes.certificates import Authority
from fakes.invoice import attachment, body, invoice, parsed, pdf
from fakes.peers import needs
from fakes.postfix import Postfix, Settings
from fakes.relay_process import RelayProcess

pytestmark = needs("postfix", "saslpasswd2", "sasl-plain")

ACCOUNT = "mijnbakkerij@ziggo.nl"
SENDER = "info@mijnbakkerij.nl"
RUN = 200


def test_a_run_of_compad_bakkerij_leaves_as_the_ziggo_account(
    tmp_path: Path, authority: Authority
) -> None:
    # Any sender but the account's own is refused, as KPN and others do.
    settings = Settings(users={ACCOUNT: "geheim"}, own_senders={ACCOUNT: ACCOUNT})
    relay = RelayProcess(tmp_path, f'[sender]\npolicy = "force"\naddress = "{ACCOUNT}"\n')
    with Postfix(authority.issue(), settings) as postfix:
        relay.add_smarthost(postfix.port, authority.ca_file, preset="ziggo", username=ACCOUNT)
        sent = {
            f"klant{number}@example.net": invoice(
                f"Mijn Bakkerij <{SENDER}>",
                [f"klant{number}@example.net"],
                number=number,
                attached=pdf(20_000, seed=number),
            )
            for number in range(RUN)
        }
        with relay:
            for recipient, content in sent.items():
                relay.send(SENDER, [recipient], content)
            copies = postfix.wait_for(RUN, timeout_seconds=60)
            relay.wait_until(lambda: relay.queue() == [])
            copies = postfix.delivered()
    assert sorted(copy.recipient for copy in copies) == sorted(sent)
    for copy in copies:
        message = parsed(copy.content)
        assert copy.sender == ACCOUNT
        assert message["From"].addresses[0].addr_spec == ACCOUNT
        assert message["Reply-To"].addresses[0].addr_spec == SENDER
        assert SENDER in message["X-Original-From"]
        assert body(copy.content) == body(sent[copy.recipient])


def test_an_accountview_profile_with_html_cc_bcc_and_the_login_that_it_insists_on(
    tmp_path: Path, authority: Authority
) -> None:
    client_table = """
[[client]]
name = "accountview"
networks = ["127.0.0.1"]
any_login = true
"""
    relay = RelayProcess(tmp_path, client_table)
    document = pdf(80_000)
    content = invoice(
        "administratie@kantoor.example",
        ["debiteur@example.net"],
        cc=["inkoop@example.net"],
        html="<p>Geachte heer, <b>hierbij</b> uw factuur.</p>",
        attached=document,
    )
    recipients = ["debiteur@example.net", "inkoop@example.net", "archief@kantoor.example"]
    with Postfix(authority.issue()) as postfix:
        relay.add_smarthost(postfix.port, authority.ca_file)
        with relay, smtplib.SMTP(relay.host, relay.port, timeout=20) as client:
            client.ehlo()
            assert "LOGIN" in client.esmtp_features["auth"].split()
            client.user, client.password = "accountview", "in-het-profiel"
            assert client.auth("LOGIN", client.auth_login, initial_response_ok=False)[0] == 235
            client.sendmail("administratie@kantoor.example", recipients, content)
            copies = postfix.wait_for(3)
            (login,) = relay.log_events("login")
            log = relay.stderr
        spool = b"".join(file.read_bytes() for file in tmp_path.glob("spool.db*"))
    assert sorted(copy.recipient for copy in copies) == sorted(recipients)
    for copy in copies:
        assert copy.sender == "administratie@kantoor.example"
        assert copy.content.endswith(b"\r\n" + content)
        assert attachment(copy.content) == document
        assert b"archief" not in copy.content
    assert login["client"] == "accountview"
    for secret in ("in-het-profiel", "aW4taGV0LXByb2ZpZWw"):
        assert secret not in log
        assert secret.encode() not in spool
