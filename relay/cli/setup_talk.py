"""The conversation of `relay setup`, at a terminal: one question, one answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from relay.cli.output import cell
from relay.cli.session import talk
from relay.cli.texts import TEXTS, parts, text
from relay.config.fault import BadValueError
from relay.config.secret import SecretError, SecretRef
from relay.setup.answers import MOST_CHARACTERS, read_answer
from relay.setup.questions import Question, Situation

BACK = "<"
_MOST_SECRET = 10_000


class WentBack(Exception):
    """The person wants the question before this one again."""


class BadSecret(Exception):
    """A secret cannot be used; the text says why, and what to do."""


def ask(question: Question, situation: Situation, known: dict[str, str]) -> str:
    """The answer, asked for until it can be used. Raises WentBack, EOFError, KeyboardInterrupt.

    `known` fills the blanks of the question's text.
    """
    language = situation.language
    _tell(question, language, known)
    for number, choice in enumerate(question.choices, 1):
        talk(f"  {number}) {choice}: {choice_text(question, choice, language)}")
    while True:
        typed = ask_line(f"[{cell(question.proposal)}] > " if question.proposal else "> ")
        if typed.strip() == BACK:
            raise WentBack
        try:
            return read_answer(question, typed.strip() or question.proposal or "", situation)
        except BadValueError as error:
            talk(f"! {cell(told(error, language))}")


def ask_secret(question: Question, situation: Situation, known: dict[str, str]) -> str:
    """A secret: typed unseen, or of a service account the file that holds it. Raises as `ask`."""
    language = situation.language
    key_file = is_key_file(situation)
    shown = Question("key_file") if key_file else question
    _tell(shown, language, known)
    while True:
        try:
            typed = ask_line("> ") if key_file else _hidden("> ")
            if typed.strip() == BACK:
                raise WentBack
            return (
                secret_of_file(Path(typed.strip()), language)
                if key_file
                else one_line(typed, language)
            )
        except BadSecret as error:
            talk(f"! {error}")


def is_key_file(situation: Situation) -> bool:
    """Whether the secret of the app is a file of several lines, which nobody types."""
    return situation.answers.get("flow") == "service-account"


def ask_line(prompt: str) -> str:
    """A line from the terminal. Raises EOFError at the end of the input."""
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline(MOST_CHARACTERS * 4)
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


def _hidden(prompt: str) -> str:
    from getpass import getpass

    return getpass(prompt, sys.stderr)


def secret_of_file(path: Path, language: str) -> str:
    """The secret in a file that only its owner can read. Raises BadSecret."""
    try:
        return SecretRef("file", str(path)).read()
    except SecretError as error:
        raise BadSecret(error.text(language)) from None


def secret_of_stdin(language: str) -> str:
    """The first line of stdin. Raises BadSecret."""
    try:
        return one_line(sys.stdin.readline(_MOST_SECRET).rstrip("\r\n"), language)
    except UnicodeDecodeError:
        raise BadSecret(text("setup.bad-secret", language)) from None


def one_line(typed: str, language: str) -> str:
    """A secret as it was typed. Raises BadSecret."""
    if not typed:
        raise BadSecret(text("setup.empty-secret", language))
    # A terminal that is not in UTF-8 gives lone surrogates.
    if len(typed) > _MOST_SECRET or not typed.isprintable():
        raise BadSecret(text("setup.bad-secret", language))
    return typed


def yes(prompt: str, meant: Callable[[str], str], language: str) -> bool:
    """Yes or no; Enter is no. Raises EOFError, KeyboardInterrupt."""
    while True:
        typed = ask_line(prompt).strip()
        try:
            return meant(typed or "no") == "yes"
        except BadValueError as error:
            talk(f"! {cell(told(error, language))}")


def question_text(question: Question, language: str) -> str:
    """The question alone."""
    return parts(f"setup.ask.{question.name}", language, known="", domain="")[0]


def choice_text(question: Question, choice: str, language: str) -> str:
    """What a choice means."""
    own = f"setup.choice.{question.name}-{choice}"
    return text(own if own in TEXTS else f"setup.choice.{choice}", language)


def told(error: BadValueError, language: str) -> str:
    """What is wrong, in the person's language."""
    return error.nl if language == "nl" else error.en


def _tell(question: Question, language: str, known: dict[str, str]) -> None:
    blanks = {"known": "", "domain": "", **known}
    title, about = parts(f"setup.ask.{question.name}", language, **blanks)
    talk("", cell(title), f"  ({cell(about)})")
