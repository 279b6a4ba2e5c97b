"""Manual pages of the programs, made from their commands: man(7), one for each command and group."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_EXAMPLE = "Example: "
_EXIT_STATUS = (
    ("0", "Good; warnings too."),
    ("1", "Problems found."),
    ("2", "Wrong usage or configuration."),
    ("3", "Could not check."),
    ("70", "A bug of the program."),
)
_FILES = {
    "relay": (
        ("/etc/relay/relay.toml", "The configuration, unless --config or $RELAY_CONFIG names one."),
        ("/var/lib/relay/spool.db", "The spool: all mail that waits, unless spool.url names one."),
    ),
    "diagnose": (),
}


@dataclass(frozen=True, slots=True)
class Edition:
    """What stands in the head and foot of each page; `date` as 2026-11-22."""

    version: str
    date: str


def pages(command: Any, program: str, edition: Edition) -> dict[str, str]:
    """File name -> text: `relay.1` for all of it, `relay-queue.1` for a command or a group.

    `command` is the program's click command, as `typer.main.get_command` makes it.
    """
    children = _children(command)
    names = [f"{program}-{name}" for name in children]
    found = {f"{program}.1": _page(command, (program,), names, edition)}
    for name, child in children.items():
        others = [program, *(f"{program}-{each}" for each in children if each != name)]
        found[f"{program}-{name}.1"] = _page(child, (program, name), others, edition)
    return found


def _children(command: Any) -> dict[str, Any]:
    found = getattr(command, "commands", {})
    return {name: child for name, child in found.items() if not child.hidden}


def _page(command: Any, path: tuple[str, ...], others: Sequence[str], edition: Edition) -> str:
    title = "-".join(path)
    about, examples = _help(command)
    footer = f"office-mail-relay {edition.version}"
    lines = [
        f'.TH {_text(title.upper())} 1 "{edition.date}" "{footer}" "User Commands"',
        ".SH NAME",
        f"{_text(title)} \\- {_text(_first_sentence(about))}",
        ".SH SYNOPSIS",
        *_synopsis(command, path),
        ".SH DESCRIPTION",
        *_paragraphs(about),
    ]
    if options := list(_options(command)):
        lines += [".SH OPTIONS", *options]
    children = _children(command)
    if children:
        lines.append(".SH COMMANDS")
        whole = len(path) > 1  # a group's own page tells all of its commands
        for name, child in children.items():
            lines += _whole(child, (*path, name)) if whole else _brief(child, (*path, name))
            examples += _help(child)[1] if whole else []
    lines += [".SH EXAMPLES", *_examples(examples)]
    lines += [".SH EXIT STATUS", *(part for each in _EXIT_STATUS for part in _tagged(*each))]
    if files := _FILES.get(path[0]):
        lines += [".SH FILES", *(part for each in files for part in _tagged(*each))]
    lines += [".SH SEE ALSO", *_see_also(others)]
    return "\n".join(lines) + "\n"


def _synopsis(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    words = [f"\\fB{_text(' '.join(path))}\\fR"]
    if any(_is_option(each) for each in command.params):
        words.append("[\\fIOPTIONS\\fR]")
    for param in command.params:
        if not _is_option(param):
            name = f"\\fI{_text(_metavar(param))}\\fR"
            name += " ..." if param.nargs == -1 else ""
            words.append(name if param.required else f"[{name}]")
    if _children(command):
        words.append("\\fICOMMAND\\fR ...")
    yield " ".join(words)


def _whole(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    yield f".SS {_text(' '.join(path))}"
    yield from _synopsis(command, path)
    yield ".PP"
    yield from _paragraphs(_help(command)[0])
    yield from _options(command)


def _brief(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    about = _first_sentence(_help(command)[0])
    return _tagged(" ".join(path), f"{about[:1].upper()}{about[1:]}. See {'-'.join(path[:2])}(1).")


def _options(command: Any) -> Iterator[str]:
    for param in command.params:
        if not param.help and not _is_option(param):
            continue
        if getattr(param, "hidden", False):
            continue
        if not _is_option(param):
            yield from _tagged(_metavar(param), param.help, italic=True)
            continue
        names = ", ".join(_text(each) for each in (*param.opts, *param.secondary_opts))
        value = "" if param.is_flag else f" \\fI{_text(_metavar(param))}\\fR"
        yield f".TP\n\\fB{names}\\fR{value}"
        yield _line(param.help or "")


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _metavar(param: Any) -> str:
    if param.metavar:
        return str(param.metavar)
    choices = getattr(param.type, "choices", None)
    if choices:
        return "|".join(str(getattr(each, "value", each)) for each in choices)
    return str(param.type.name if _is_option(param) else param.name).upper()


def _help(command: Any) -> tuple[str, list[str]]:
    """The text without its examples, and these."""
    text = textwrap.dedent(command.help or "").strip()
    kept, examples = [], []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith(_EXAMPLE):
            examples.append(" ".join(paragraph.removeprefix(_EXAMPLE).split()))
        else:
            kept.append(" ".join(paragraph.split()))
    return "\n\n".join(kept), examples


def _first_sentence(about: str) -> str:
    """For the line that apropos searches: no full stop, no capital."""
    sentence = re.split(r"[.;](?:\s|$)", about, maxsplit=1)[0].strip()
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _paragraphs(about: str) -> Iterator[str]:
    for number, paragraph in enumerate(about.split("\n\n")):
        if number:
            yield ".PP"
        yield _line(paragraph)


def _examples(examples: Sequence[str]) -> Iterator[str]:
    for number, example in enumerate(dict.fromkeys(examples)):
        if number:
            yield ".sp"
        yield f".RS 4\n.nf\n{_line(example)}\n.fi\n.RE"


def _tagged(tag: str, about: str, *, italic: bool = False) -> Iterator[str]:
    yield f".TP\n\\f{'I' if italic else 'B'}{_text(tag)}\\fR"
    yield _line(about)


def _see_also(others: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(others):
        comma = "," if number < len(others) - 1 else ""
        yield f".BR {_text(name)} (1){comma}"


def _line(text: str) -> str:
    """A line of text that troff takes for nothing else."""
    escaped = _text(" ".join(text.split()))
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def _text(text: str) -> str:
    """Backslashes and hyphens as they are typed; what is not ASCII by its number."""
    plain = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha")
    )
    plain = plain.replace("~", "\\(ti").replace('"', "\\(dq")
    return "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in plain)
