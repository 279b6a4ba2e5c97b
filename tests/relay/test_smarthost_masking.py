"""A password is taken out of whatever a server repeats."""

import base64

import pytest

from relay.smarthost.masking import masked

SECRET = "brood-en-b0ter!7"


def plain_response(username: str) -> str:
    return base64.b64encode(f"\0{username}\0{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"bad password {SECRET}, sorry",
        f"{SECRET[:6]} {SECRET[6:]}",
        f"{SECRET[:6]}\ufffd{SECRET[6:]}",
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_plain_broken_over_lines_and_without_padding(text: str) -> None:
    shown = masked(text, SECRET)
    assert "***" in shown
    assert SECRET[6:] not in shown
    assert text[8:16] not in shown


@pytest.mark.parametrize("username", ["a@b.nl", "ab@b.nl", "abc@b.nl"])
@pytest.mark.parametrize("around", ["{}", "initial-response={}", "AUTH:{} refused", "'{}'"])
def test_base64_behind_a_user_name_of_any_length(username: str, around: str) -> None:
    coded = plain_response(username)
    for text in (coded, coded.rstrip("="), f"{coded[:20]} {coded[20:]}"):
        shown = masked(around.format(text), SECRET)
        assert shown.rstrip("=") == around.format("***") or coded[-12:-4] not in shown
        assert "***" in shown


def test_letters_lost_in_another_character_set() -> None:
    assert masked("no: caf\ufffd-noir", "café-noir") == "no: ***"


@pytest.mark.parametrize("secret", ["x", "ab", "é", " "])
def test_a_short_password_leaves_other_words_alone(secret: str) -> None:
    assert masked("Username or Login failed".replace("x", ""), secret).startswith("Username")


def test_other_text_stays_as_it_is() -> None:
    text = "5.7.8 Error: authentication failed: VXNlcm5hbWU6 (a=b)"
    assert masked(text, SECRET) == text
