"""Messages that programs, viruses and accidents make, and that a relay has only to pass on.

Each is what follows the 354, before dots are stuffed; lone line ends included.
"""

HEAD = (
    b"From: info@mijnbakkerij.nl\r\nDate: Mon, 02 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@x>\r\n"
)


def _mime(kind: bytes, body: bytes) -> bytes:
    return HEAD + b"MIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\n\r\n" + body


def _nested(depth: int) -> bytes:
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (each, each)
        for each in range(depth)
    )
    return HEAD + b"MIME-Version: 1.0\r\n" + opened + b"Content-Type: text/plain\r\n\r\nx\r\n"


_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;">' % (c + 1, c, c, c) for c in range(97, 120))
    + b"]><l>&x;</l>\r\n"
)

ODD_MESSAGES: dict[str, bytes] = {
    # Hardly anything
    "nothing": b"",
    "one empty line": b"\r\n",
    "a thousand empty lines": b"\r\n" * 1000,
    "one blank": b" \r\n",
    "one dot": b".\r\n",
    "lines of dots": b".\r\n..\r\n...\r\n" * 50,
    "a header and no end of it": HEAD,
    "a header and its end": HEAD + b"\r\n",
    "a body without a header": b"Hierbij de factuur.\r\nGroet\r\n",
    # Headers
    "a blank line first": b"\r\n" + HEAD + b"\r\nx\r\n",
    "a line of a mailbox file first": b"From info@mijnbakkerij.nl Mon Nov  2\r\n"
    + HEAD
    + b"\r\nx\r\n",
    "a byte order mark first": b"\xef\xbb\xbf" + HEAD + b"\r\nx\r\n",
    "a folded line first": b" folded\r\n" + HEAD + b"\r\nx\r\n",
    "a line without a colon": HEAD + b"this is no field\r\nSubject: x\r\n\r\nx\r\n",
    "a blank before the colon": HEAD + b"Subject : x\r\n\r\nx\r\n",
    "a field of blanks": HEAD + b"Subject:   \r\n \r\n\t\r\n\r\nx\r\n",
    "every field twice": HEAD + HEAD + b"\r\nx\r\n",
    "a field's name of 900": HEAD + b"X-" + b"a" * 900 + b": x\r\n\r\nx\r\n",
    "a subject of 100 kB": HEAD + b"Subject: " + b"x" * 100_000 + b"\r\n\r\nx\r\n",
    "a subject of 10 000 folds": HEAD + b"Subject: x\r\n" + b" x\r\n" * 10_000 + b"\r\nx\r\n",
    "ten thousand fields": HEAD + b"X-A: b\r\n" * 10_000 + b"\r\nx\r\n",
    "ten thousand recipients": HEAD + b"To: " + b"a@b.nl,\r\n " * 10_000 + b"c@d.nl\r\n\r\nx\r\n",
    "ten thousand brackets": HEAD + b"To: " + b"(" * 10_000 + b"a@b.nl\r\n\r\nx\r\n",
    "a quote that never ends": HEAD + b'To: "' + b'\\"' * 10_000 + b"\r\n\r\nx\r\n",
    "encoded words without end": HEAD + b"Subject: " + b"=?utf-8?q?=00?=" * 2000 + b"\r\n\r\nx\r\n",
    "an encoded CR LF": HEAD + b"Subject: =?utf-8?b?DQpCY2M6IGFAYi5ubA==?=\r\n\r\nx\r\n",
    "eight bit in the header": HEAD + "Subject: Crème\r\n\r\nx\r\n".encode("latin-1"),
    "NUL in the header": HEAD + b"Subject: a\0b\r\n\r\nx\r\n",
    "escape codes in the header": HEAD + b"Subject: \x1b]0;x\x07\x1b[2J\r\n\r\nx\r\n",
    "a lone CR in the header": HEAD + b"Subject: a\rBcc: b@c.nl\r\n\r\nx\r\n",
    "a lone LF in the header": HEAD + b"Subject: a\nX-B: c\r\n\r\nx\r\n",
    "lone LFs only": HEAD.replace(b"\r\n", b"\n") + b"\nx\ny\n" * 200,
    "lone CRs only": b"From: a@b.nl\r\rx\ry\r" * 200,
    "a return path and copies of its own": b"Return-Path: <x@y.nl>\r\nBcc: b@c.nl\r\n"
    + HEAD
    + b"\r\nx\r\n",
    "forty-nine servers before": b"Received: from a by b; now\r\n" * 49 + HEAD + b"\r\nx\r\n",
    "a report of its own making": HEAD + b"Auto-Submitted: auto-replied\r\n\r\nx\r\n",
    # Bodies
    "eight bit that nobody declared": HEAD + b"\r\n" + bytes(range(128, 256)) * 100 + b"\r\n",
    "NULs": HEAD + b"\r\n" + b"\0" * 100_000 + b"\r\n",
    "UTF-16": HEAD
    + b"\r\n"
    + "Hallo\r\nwereld".encode("utf-16").replace(b"\r", b"").replace(b"\n", b"")
    + b"\r\n",
    "control characters": HEAD + b"\r\n\x0b\x0c\x1a\x04\x7f\x1b[2J\r\n",
    "a line of 100 kB": HEAD + b"\r\n" + b"x" * 100_000 + b"\r\n",
    "a hundred thousand lines": HEAD + b"\r\n" + b"x\r\n" * 100_000,
    "blanks at the ends of lines": HEAD + b"\r\nx  \r\n \t \r\n\t\r\n",
    "commands": HEAD + b"\r\nRSET\r\nMAIL FROM:<a@b.nl>\r\nQUIT\r\n",
    # MIME
    "a thousand parts in one another": _nested(1000),
    "ten thousand parts": _mime(b"multipart/mixed; boundary=x", b"--x\r\n\r\na\r\n" * 10_000),
    "a boundary that is never there": _mime(b"multipart/mixed; boundary=x", b"niets\r\n"),
    "a parameter of ten thousand pieces": _mime(
        b"text/plain" + b"".join(b";\r\n name*%d=x" % each for each in range(10_000)), b"x\r\n"
    ),
    "base64 that is none": _mime(
        b"text/plain\r\nContent-Transfer-Encoding: base64", b"%%%=\r\n" * 50
    ),
    "entities without end": _mime(b"text/xml", _LAUGHS),
    "an archive of zeros": _mime(
        b"application/zip\r\nContent-Transfer-Encoding: base64", b"A" * 76 + b"\r\n"
    ),
}
