"""The HTML of a message made harmless: known tags and attributes, no script, nothing from outside.

The standard library's parser takes minutes over 100 kB that were made for it; this one passes over
each character once. What it gives is written anew, so that it matters little where a browser would
have read a tag otherwise.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _names(
    "a abbr address article aside b big blockquote body br caption center cite code col colgroup "
    "dd del div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 head header hr html i img "
    "ins kbd li main mark nav ol p pre q s samp section small span strike strong sub sup table "
    "tbody td tfoot th thead tr tt u ul var"
)
_VOID = _names("br col hr img")
_ATTRIBUTES = _names(
    "abbr align alt bgcolor border cellpadding cellspacing color colspan dir face headers height "
    "lang rowspan scope size span start style summary title type valign width"
)
# Their content is no text to be read; that of the first ones is no markup either.
_RAW = _names("iframe noembed noframes noscript script style textarea title xmp")
_SILENT = _names("applet audio canvas math object select svg template video")

_IMAGES = _names("image/png image/jpeg image/gif image/webp")
_DATA = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)
_FETCHING = re.compile(r"url|@|\\|expression|image|/\*|[<>]", re.IGNORECASE)

_TAG_NAME = re.compile(r"[A-Za-z][^\s/>]*")
_GAP = re.compile(r"[\s/]*")
_NAME = re.compile(r"[^\s/>=][^\s/>=]*")
_EQUALS = re.compile(r"\s*=\s*")
_BARE = re.compile(r"[^\s>]*")

MOST_IMAGE_BYTES = 10_000_000


class _Tag(NamedTuple):
    name: str
    attributes: list[tuple[str, str]]
    closing: bool


class _Images:
    """The images of a message by Content-ID, as `data:` addresses, of a bounded size in all."""

    def __init__(self, images: Mapping[str, tuple[str, bytes]]) -> None:
        self._images = images
        self._room = MOST_IMAGE_BYTES

    def source(self, written: str) -> str | None:
        """What may stand for the address `written`; None for nothing."""
        if written[:4].lower() != "cid:":
            return written if _DATA.fullmatch(written) else None
        type_, content = self._images.get(written[4:], ("", b""))
        if type_ not in _IMAGES or len(content) > self._room:
            return None
        self._room -= len(content)  # at each place again: one image may be named a thousand times
        return f"data:{type_};base64,{base64.b64encode(content).decode()}"


def harmless_html(text: str, images: Mapping[str, tuple[str, bytes]]) -> str:
    """A whole document of what may be shown of `text`.

    `images`, by Content-ID, are (type, bytes); those of a known type, together up to
    `MOST_IMAGE_BYTES`, stand in the place of `cid:` addresses. A link's address becomes its title.
    """
    known = _Images(images)
    pieces = ['<!doctype html>\n<meta charset="utf-8">\n']
    silent, depth = "", 0
    for token in _tokens(text):
        if isinstance(token, str):
            if not depth:
                pieces.append(html.escape(html.unescape(token), quote=False))
        elif token.name in _SILENT:
            if not depth:
                silent = token.name
            if token.name == silent:
                depth = max(0, depth - 1) if token.closing else depth + 1
        elif token.name in _TAGS and not depth:
            pieces.append(_written(token, known))
    return "".join(pieces)


def _tokens(text: str) -> Iterator[str | _Tag]:
    """Texts and tags in order; comments, declarations and unfinished ends are left out."""
    at = 0
    while (start := text.find("<", at)) >= 0:
        if start > at:
            yield text[at:start]
        if text.startswith("<!--", start):
            at = _behind(text, "-->", start + 4)
        elif text.startswith(("<!", "<?"), start):
            at = _behind(text, ">", start)
        else:
            closing = text.startswith("</", start)
            found = _TAG_NAME.match(text, start + 1 + closing)
            if found is None:
                yield "<"
                at = start + 1
                continue
            name = found[0].lower()
            attributes, at = _attributes(text, found.end())
            if at <= len(text):
                yield _Tag(name, attributes, closing)
            if name in _RAW and not closing:
                end = re.compile(f"</{re.escape(name)}", re.IGNORECASE).search(text, at)
                at = len(text) if end is None else end.start()
    if at < len(text):
        yield text[at:]


def _attributes(text: str, at: int) -> tuple[list[tuple[str, str]], int]:
    """The attributes from `at`, and where the tag ends; beyond the text where it does not."""
    found: list[tuple[str, str]] = []
    while True:
        at = _end(_GAP, text, at)
        if at >= len(text):
            return found, len(text) + 1
        if text[at] == ">":
            return found, at + 1
        name_end = max(_end(_NAME, text, at), at + 1)
        name, value = text[at:name_end].lower(), ""
        at = name_end
        if equals := _EQUALS.match(text, at):
            at = equals.end()
            quote = text[at : at + 1]
            if quote in ('"', "'"):
                end = text.find(quote, at + 1)
                if end < 0:
                    return found, len(text) + 1
                value, at = text[at + 1 : end], end + 1
            else:
                end = _end(_BARE, text, at)
                value, at = text[at:end], end
        found.append((name, html.unescape(value)))


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _behind(text: str, mark: str, at: int) -> int:
    """The place behind the next `mark`, or the end of the text."""
    found = text.find(mark, at)
    return len(text) if found < 0 else found + len(mark)


def _written(tag: _Tag, images: _Images) -> str:
    if tag.closing:
        return "" if tag.name in _VOID else f"</{tag.name}>"
    kept = "".join(
        f' {name}="{html.escape(value)}"'
        for name, value in _kept(tag.name, dict(tag.attributes), images)
    )
    return f"<{tag.name}{kept}>"


def _kept(tag: str, attributes: Mapping[str, str], images: _Images) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        if name in _ATTRIBUTES and not (name == "style" and _FETCHING.search(value)):
            yield name, value
        elif tag == "a" and name == "href" and "title" not in attributes:
            yield "title", value  # where it leads can be read, and not be followed
        elif tag == "img" and name == "src":
            source = images.source(value)
            if source is not None:
                yield "src", source
