"""Messages: found, held, released, tried again, deleted, and followed through their life."""

import threading
from pathlib import Path

from browser.conftest import ReaderOf
from browser.office import ACCOUNT, SENDER, office
from fakes.certificates import Authority
from fakes.script import Action, nth_time, when
from playwright.sync_api import expect


def test_a_message_is_tried_again_and_leaves(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    later = {"RCPT": nth_time({1: "451 4.2.1 mailbox busy"})}
    with office(tmp_path, authority, script=later) as it:
        it.send("klant@example.net")
        it.relay.wait_for_event("deferred")
        reader = reader_of(it.relay).open("messages")
        reader.main.get_by_role("link", name="klant@example.net").click()
        expect(reader.main.get_by_text("451 4.2.1 mailbox busy").first).to_be_visible()
        expect(reader.main.get_by_text("Deferred")).to_be_visible()
        expect(reader.main.get_by_text("Next attempt in")).to_be_visible()
        reader.press("Try again now")
        reader.told("1 message is tried again now.")
        expect(reader.main.get_by_text("Sent to everybody")).to_be_visible()
        assert len(it.smarthost.wait_for(1)) == 1


def test_messages_are_held_and_let_go_and_deleted(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    gate = threading.Event()
    with office(tmp_path, authority, script={"CONNECT": Action(wait_for=gate)}) as it:
        for name in ("een", "twee", "drie"):
            it.send(f"{name}@example.net")
        reader = reader_of(it.relay).open("messages")
        one, two, three = (reader.row(f"{name}@") for name in ("een", "twee", "drie"))

        one.get_by_role("checkbox").check()
        two.get_by_role("checkbox").check()
        expect(reader.main.get_by_text("2 messages chosen")).to_be_visible()
        reader.press("Hold")
        reader.told("2 messages are held.")
        expect(one).to_contain_text("Held")
        reader.undo()
        expect(one).to_contain_text("Waiting")

        three.get_by_role("checkbox").check()
        reader.press("Hold")
        reader.told("3 messages are held.")
        expect(three).to_contain_text("Held")
        one.get_by_role("checkbox").uncheck()
        two.get_by_role("checkbox").uncheck()
        reader.press("Delete")
        expect(reader.dialog).to_contain_text("This cannot be undone.")
        reader.press("Go back", reader.dialog)
        expect(reader.dialog).to_have_count(0)
        expect(three).to_contain_text("Held")
        reader.press("Delete")
        reader.agree("Delete")
        reader.told("1 message is deleted.")
        expect(three).to_contain_text("Deleted")

        # The first is offered already, as far as the smarthost lets it: it may leave, held or not.
        two.get_by_role("checkbox").check()
        three.get_by_role("checkbox").uncheck()
        reader.press("Release")
        expect(reader.dialog).to_contain_text("Release 1 message?")
        gate.set()
        reader.agree("Release")
        reader.told("1 message is released.")
        expect(two).to_contain_text("Sent")
        left = [one.content for one in it.smarthost.accepted]
        assert any(b"To: twee@" in content for content in left)
        assert not any(b"To: drie@" in content for content in left)


def test_messages_are_found_by_recipient_state_and_text(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    with office(tmp_path, authority, script={"RCPT": "550 5.1.1 no such mailbox"}) as it:
        it.send("bestaat-niet@example.net")
        it.relay.wait_for_event("failed")
        reader = reader_of(it.relay).open("messages")
        row = reader.row("bestaat-niet")
        expect(row).to_contain_text("Failed")
        search = reader.main.get_by_role("searchbox", name="Search")
        search.fill("zoiets is er niet")
        expect(reader.main.get_by_text("No message fits this search")).to_be_visible()
        reader.press("Show all messages")
        expect(row).to_be_visible()
        reader.main.get_by_label("State", exact=True).select_option("failed")
        expect(row).to_be_visible()
        reader.main.get_by_label("State", exact=True).select_option("held")
        expect(row).to_have_count(0)
        reader.main.get_by_label("State", exact=True).select_option("")
        reader.main.get_by_text("Search by recipient").click()
        reader.main.get_by_label("To", exact=True).fill("bestaat")
        expect(row).to_be_visible()
        row.get_by_role("link").click()
        expect(reader.main.get_by_text("550 5.1.1 no such mailbox").first).to_be_visible()
        expect(reader.main.locator(".explanation li").first).to_be_visible()


def test_a_message_held_for_its_sender_is_cured(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    refused = "553 5.7.1 <info@mijnbakkerij.nl>: Sender address rejected: not owned by user"
    with office(tmp_path, authority, script={"MAIL": when({SENDER: refused})}) as it:
        it.send("klant@example.net")
        it.relay.wait_for_event("held")
        reader = reader_of(it.relay).open("messages")
        reader.row("klant@").get_by_role("link").click()
        expect(reader.main.get_by_text("How this message can leave")).to_be_visible()
        reader.press("Change the sender")
        expect(reader.dialog.get_by_label("Send as")).to_have_value(ACCOUNT)
        reader.agree("Change the sender")
        reader.told("The rule stands; 1 message is released.")
        expect(reader.main.get_by_text("Sent to everybody")).to_be_visible()
        (left,) = it.smarthost.wait_for(1)
        assert ACCOUNT.encode() in left.content


def test_an_address_in_letters_that_look_like_others_is_flagged(
    tmp_path: Path, authority: Authority, reader_of: ReaderOf
) -> None:
    with office(tmp_path, authority) as it:
        with it.relay.connect() as client:
            client.reply()
            client.command("EHLO kassa")
            client.command(f"MAIL FROM:<{SENDER}> SMTPUTF8")
            assert client.command("RCPT TO:<klant@\u0430pple.example>").startswith("250")
            assert client.message(b"Subject: factuur\r\n\r\nx\r\n").startswith("250")
        reader = reader_of(it.relay).open("messages")
        expect(reader.row("klant@")).to_contain_text("other letters: xn--pple-43d.example")
        reader.main.get_by_role("link", name="klant@").click()
        expect(reader.main.get_by_text("other letters: xn--pple-43d.example").first).to_be_visible()
