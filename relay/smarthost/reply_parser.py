"""Replies out of a byte stream (RFC 5321 section 4.2), strict about what could be mispaired."""

from functools import lru_cache

from presets.reply import Reply

REPLY_BYTES = 32_768
"""Of one reply, however many lines it has. One line may be all of it: refusing a long 250 after the
final dot would send the message once more."""


_SHORT_BYTES = 80


class MalformedReply(Exception):
    """The server's bytes are no reply: nothing that follows can be paired with a command."""


class ReplyParser:
    """Feed it bytes; it gives whole replies. After MalformedReply it must not be used again."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._code = b""
        self._reply_bytes = 0

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that are complete by now. Raises MalformedReply."""
        self._buffer += data
        replies = []
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            reply = self._line(bytes(self._buffer[start : end + 1]))
            start = end + 1
            if reply is not None:
                replies.append(reply)
        del self._buffer[:start]
        if self._reply_bytes + len(self._buffer) > REPLY_BYTES:
            raise MalformedReply("a line without end")
        return replies

    @property
    def pending(self) -> bool:
        """A part of a reply has come."""
        return bool(self._buffer or self._lines)

    def _line(self, line: bytes) -> Reply | None:
        self._reply_bytes += len(line)
        if self._reply_bytes > REPLY_BYTES:
            raise MalformedReply("a reply without end")
        text = line.rstrip(b"\r\n")
        code, mark = text[:3], text[3:4]
        if not (len(code) == 3 and code.isdigit()) or mark not in (b"", b" ", b"-"):
            raise MalformedReply(f"not a reply: {line[:80]!r}")
        if self._lines and code != self._code:
            raise MalformedReply("a reply with two codes")
        self._code = code
        self._lines.append(text[4:])
        if mark == b"-":
            return None
        if len(self._lines) == 1 and len(text) <= _SHORT_BYTES:
            reply = _short_reply(code, self._lines[0])
        else:
            reply = Reply.of(int(code), self._lines)
        self._lines = []
        self._reply_bytes = 0
        return reply


@lru_cache(maxsize=64)
def _short_reply(code: bytes, line: bytes) -> Reply:
    """A server says most of what it says over and over again."""
    return Reply.of(int(code), [line])
