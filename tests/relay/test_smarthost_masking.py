"""A password is taken out of whatever a server repeats."""

import base64
import time

import pytest
from fakes.canary import Canary, forms

from relay.smarthost.masking import masked, masked_token

SECRET = "brood-en-b0ter!7"
AWKWARD = 'zout~?>&+/=%<"é\\ en meel'


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


@pytest.mark.parametrize("form", forms(AWKWARD))
def test_each_form_of_an_awkward_password_is_masked(form: str) -> None:
    coded = forms(AWKWARD)[form].decode()
    for text in (
        coded,
        f"no: <{coded}>",
        f"{coded[:9]}\n{coded[9:]}",
        f"{coded[:9]}=\n{coded[9:]}",
    ):
        shown = masked(text, AWKWARD)
        assert "***" in shown
        assert Canary(AWKWARD).forms_in(shown) == []


@pytest.mark.parametrize("form", forms(AWKWARD))
def test_each_form_of_a_token_is_masked(form: str) -> None:
    token = AWKWARD.replace(" ", "-") * 3
    coded = forms(token)[form].decode()
    assert masked_token(f"no: {coded}", token) == "no: ***"


LONG = ["A", "a", " ", "a ", "%61", "61", "=\n", "YWFh", "a" + " " * 99, "zout"]


@pytest.mark.parametrize("piece", LONG)
@pytest.mark.parametrize("secret", [AWKWARD, "a   b c", "aaaaaaaaaaaaaaaa"])
def test_a_long_reply_is_searched_at_once(secret: str, piece: str) -> None:
    text = piece * (32_768 // len(piece))
    began = time.monotonic()
    masked(text, secret)
    masked_token(text, secret * 9)
    assert time.monotonic() - began < 2
