"""What the commands say, in Dutch and in English: key -> (nl, en), a module for each group of commands."""

from typing import Final

from relay.cli.texts import accounts, alarms, check, moving, queue, service, setup, state, web

TEXTS: Final[dict[str, tuple[str, str]]] = {
    **accounts.TEXTS,
    **alarms.TEXTS,
    **check.TEXTS,
    **moving.TEXTS,
    **queue.TEXTS,
    **service.TEXTS,
    **setup.TEXTS,
    **state.TEXTS,
    **web.TEXTS,
}


def text(key: str, language: str, /, **values: object) -> str:
    """The text of `key` in `language` (English for anything but `nl`), its blanks filled in."""
    nl, en = TEXTS[key]
    return (nl if language == "nl" else en).format(**values)


def parts(key: str, language: str, /, **values: object) -> list[str]:
    """The pieces of a text that bars separate, the blanks of each filled in."""
    nl, en = TEXTS[key]
    return [piece.format(**values) for piece in (nl if language == "nl" else en).split("|")]
