"""Pasted text as the replies in it: bounces, logs, dialogues, tracebacks, wrapped or quoted mail."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from presets.dialogue import Line, phase_of_command, phase_told, undecorated
from presets.reply import TEXT_LIMIT, Reply, sanitise
from presets.verdict import Phase

_MOST_CHARACTERS = 60_000
_MOST_PASSAGES = 100
# A block of prose is cut here, at the end of a line, so that the end of a traceback is read too.
_LONG_BLOCK = TEXT_LIMIT * 7 // 10

_CHARACTERS = str.maketrans(
    # Zero bytes and a byte order mark are what is left of UTF-16, the default of PowerShell.
    dict.fromkeys("\0\udcff\udcfe")
    | dict.fromkeys("\u00a0\u2007\u202f", " ")
    | dict.fromkeys("\u2010\u2011", "-")
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff")
    | dict.fromkeys("“”„«»", '"')
    | dict.fromkeys("\u2018\u2019", "'")
)
_LINE_TAG = re.compile(r"<(?:br|/p|/div|/tr|/li|/h\d|/pre)\s*/?>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:p|div|span|b|i|u|a|font|t[dhr]|table|tbody|[ou]l|li|code|pre|strong|em|html|body|head"
    r"|h\d|blockquote)(?:\s[^<>]{0,300})?/?>",
    re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|r\\n|([nrt'\"]))")

# "The server response was: 5.7.57 Client not authenticated": no basic code. An IP address is none,
# nor is the version of a program.
_BARE_ENHANCED = re.compile(
    r"(?<![\w./])(?<!PHPMailer )(?<!version )(?<!versie )[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII
)
_CODED = re.compile(r"([2-5]\d\d)(?:([ \-:]).*|)$", re.DOTALL)
_HEADER = re.compile(
    r"(?:Received|Return-Path|From|To|Cc|Date|Subject|Action|Status"
    r"|[A-Za-z]+(?:-[A-Za-z0-9]+)+):(?:\s|$)"
)
_HEADER_OF_MAIL = re.compile(
    r"(?:Received|Return-Path|Message-ID|MIME-Version|Content-Type|Reporting-MTA|Final-Recipient"
    r"|Original-Recipient|Diagnostic-Code|Action):",
    re.IGNORECASE,
)
_DIAGNOSTIC = re.compile(r"Diagnostic-Code:\s*(?:[A-Za-z-]+\s*;)?\s*", re.IGNORECASE)
_STATUS = re.compile(r"Status:\s*([245]\.\d{1,3}\.\d{1,3})", re.IGNORECASE)
_STACK = re.compile(
    r"(?:(?:at|bij|in) [\w.$<>`]{1,200}[.(].{0,200}\)|File \"|~~*\^|\.{3} \d+ more)"
)

# Where a program quotes a reply: (535, b'5.7.8 ...'), "... failed: 550 No such user", '550 ...'.
_CODE = r"(42[12]|43[0-2]|45[0-5]|471|50[0-4]|52[1-5]|53[0458]|54[12]|55[0-7]|571)"
_QUOTED = (
    (re.compile(r"[(\[]\s*([2-5]\d\d)\s*[,;)\]]+\s*(?:Msg:\s*)?b?['\"]"), r" reply: \1 "),
    (re.compile(r"(?<![\d.])([45]\d\d): ?(?=#?[45]\.\d{1,3}\.\d)"), r"\1 "),
    (re.compile(rf"([:=>'\"(\[]\s?['\"(]?){_CODE}(?=(?:[ -]+|: ?)[#A-Za-z<\"'\[45])"), r"\1reply: \2"),
    (
        re.compile(
            r"\b(SMTP|melding|serverfout|retourneerde|antwoordde?|meldde|meldt|gaf|zei|gave|replied|with)"
            rf"\s+['\"]?{_CODE}(?=[ :-]|$)",
            re.IGNORECASE,
        ),
        r"\1 reply: \2",
    ),
)  # fmt: skip
# "said: 550-5.1.1 No such 550-5.1.1 user 550 5.1.1 here": the lines of one reply, joined.
_JOINED_LINES = re.compile(r"(?<![\d.])([45]\d\d)-(#?[45]\.\d{1,3}\.\d{1,3} )?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: a reply, or a program's words (code 0), and what it answered where told."""

    reply: Reply
    phase: Phase | None = None


@dataclass(slots=True)
class _Block:
    """Lines that belong together. `code` is that of the last reply line, with what follows it."""

    lines: list[str] = field(default_factory=list)
    code: str | None = None
    command: Phase | None = None

    def continued_by(self, code: str) -> bool:
        """Whether a line with `code` is another line of this reply, or one that it quotes."""
        return self.code is not None and (
            self.code == f"{code}-" or self.lines[-1].endswith((":", "said"))
        )

    @property
    def full(self) -> bool:
        return sum(map(len, self.lines)) > _LONG_BLOCK


def passages(text: str) -> tuple[Passage, ...]:
    """The parts of `text` worth explaining, at least one, in their order.

    First come the Diagnostic-Code fields of a bounce (RFC 3464 section 2.3.6), last all of it.
    """
    lines = [undecorated(raw) for raw in cleaned(text).splitlines()]
    fields: list[str] = []
    if sum(bool(_HEADER_OF_MAIL.match(line.text)) for line in lines) > 1:
        lines, fields = _without_headers(lines)
    blocks = list(_blocks(lines))[:_MOST_PASSAGES]
    whole = " ".join(line for block in blocks for line in block.lines)
    return (*map(_passage_of_field, fields), *map(_passage, blocks), Passage(_prose(whole)))


def cleaned(text: str) -> str:
    """`text` without what mail programs, browsers and languages put around it.

    One form of letters with diacritics (NFC), plain spaces, hyphens and quotation marks, no HTML.
    """
    text = text[:_MOST_CHARACTERS]
    if "<" in text:
        text = _TAG.sub("", _LINE_TAG.sub("\n", text))
    if "&" in text:
        from html import unescape

        text = unescape(text)
    if "\\" in text:
        text = _ESCAPED.sub(_unescaped, text)
    return unicodedata.normalize("NFC", text).translate(_CHARACTERS)


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return escape[2] if escape[2] in ("'", '"') else " " if escape[2] == "t" else "\n"


def _without_headers(lines: list[Line]) -> tuple[list[Line], list[str]]:
    """The lines of a mail without header fields, and its Diagnostic-Code and Status fields."""
    body: list[Line] = []
    fields: list[str] = []
    kept: bool | None = None  # of the field being read; None outside one
    for line in lines:
        if _HEADER.match(line.text):
            kept = bool(_DIAGNOSTIC.match(line.text) or _STATUS.match(line.text))
            if kept:
                fields.append(line.text)
        elif kept is not None and line.indented and line.text:
            if kept:
                fields[-1] += f"\n{line.text}"
        else:
            kept = None
            body.append(line)
    return body, sorted(fields, key=lambda each: bool(_STATUS.match(each)))


def _passage_of_field(text: str) -> Passage:
    if status := _STATUS.match(text):
        return Passage(Reply(0, status[1], status[1]))
    value = _DIAGNOSTIC.sub("", text, count=1)
    return _passage(_Block(value.splitlines(), code="" if _CODED.match(value) else None))


def _blocks(lines: list[Line]) -> Iterator[_Block]:
    """What belongs together: a reply with its wrapped lines, a line of a log, a paragraph."""
    blanks = sum(not line.text for line in lines)
    if blanks > 1 and 2 * blanks >= len(lines) - 1:  # every other line is empty
        lines = [line for line in lines if line.text]
    block = _Block()
    apart = False  # an empty line, or one of the client, lies between
    for line in lines:
        command = phase_of_command(line.text)
        if not line.text or line.from_client or (command and not line.fresh):
            apart = True
            if command:
                if block.lines:
                    yield block
                block = _Block(command=command)
            continue
        if _STACK.match(line.text):
            continue
        if not _goes_on(block, line, apart):
            yield block
            block = _Block(command=block.command)
        if (found := _CODED.match(line.text)) and (block.code or not block.lines):
            block.code = f"{found[1]}{found[2] or ' '}"
        block.lines.append(line.text)
        apart = False
    if block.lines:
        yield block


def _goes_on(block: _Block, line: Line, apart: bool) -> bool:
    """Whether the line continues the block; the first line of a block always does."""
    if not block.lines:
        return True
    if found := _CODED.match(line.text):
        return block.continued_by(found[1])
    return not line.fresh and not block.full and (not apart or line.text[0].islower())


def _passage(block: _Block) -> Passage:
    text = "\n".join(block.lines)
    reply = Reply.parse(text) if block.code is not None else None
    if reply is not None:
        reply = Reply(reply.code, reply.enhanced, _marked(reply.text)[:TEXT_LIMIT])
    return Passage(reply or _prose(" ".join(block.lines)), phase_told(text) or block.command)


def _prose(text: str) -> Reply:
    """Text that does not start with a reply code: a program's message, or one that quotes a reply."""
    text = sanitise(_marked(text))
    found = _BARE_ENHANCED.search(text)
    enhanced = found[0] if found else None
    return Reply(0, enhanced, text.removeprefix(f"{enhanced} "))


def _marked(text: str) -> str:
    """`text` with a word before each reply that it quotes, so that three digits are seen as one."""
    for pattern, replacement in _QUOTED:
        text = pattern.sub(replacement, text)
    if joined := _JOINED_LINES.search(text):
        again = rf"(?<=\s){joined[1]}[ -]{re.escape(joined[2] or '')}"
        text = text[: joined.end()] + re.sub(again, "", text[joined.end() :])
    return text
