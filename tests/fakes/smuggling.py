"""Endings that some servers take for the end of DATA, and what must become of them.

Each would have what follows it obeyed as commands by such a server, if it came through
unchanged. Beside it stands what the relay makes of it. A dot that is then alone on a line belongs
to the message: it is stuffed again when the message leaves.
"""

SMUGGLING = {
    "LF dot LF": (b"\n.\n", b"\r\n.\r\n"),
    "LF dot CRLF": (b"\n.\r\n", b"\r\n.\r\n"),
    "LF dot CR": (b"\n.\r", b"\r\n. "),
    "CR dot CR": (b"\r.\r", b" . "),
    "CR dot LF": (b"\r.\n", b" .\r\n"),
    "CR dot CRLF": (b"\r.\r\n", b" .\r\n"),
    "CRLF dot LF": (b"\r\n.\n", b"\r\n\r\n"),
    "CRLF dot CR": (b"\r\n.\r", b"\r\n "),
    "CRLF dot CRCRLF": (b"\r\n.\r\r\n", b"\r\n \r\n"),
    "CRLF dot CRCR": (b"\r\n.\r\r", b"\r\n  "),
    "CRLF dot LFLF": (b"\r\n.\n\n", b"\r\n\r\n\r\n"),
    "CRLF dot LFCR": (b"\r\n.\n\r", b"\r\n\r\n "),
    "CRCRLF dot LF": (b"\r\r\n.\n", b" \r\n\r\n"),
    "CRCRLF dot CR": (b"\r\r\n.\r", b" \r\n "),
    "CRCR dot CRCR": (b"\r\r.\r\r", b"  .  "),
    "LFLF dot LFLF": (b"\n\n.\n\n", b"\r\n\r\n.\r\n\r\n"),
    "LFCR dot LFCR": (b"\n\r.\n\r", b"\r\n .\r\n "),
    "LFCR dot CRLF": (b"\n\r.\r\n", b"\r\n .\r\n"),
    "CRLF NUL dot CRLF": (b"\r\n\0.\r\n", b"\r\n\0.\r\n"),
    "CRLF dot NUL CRLF": (b"\r\n.\0\r\n", b"\r\n\0\r\n"),
    "CRLF dot blank CRLF": (b"\r\n. \r\n", b"\r\n \r\n"),
    "CRLF blank dot CRLF": (b"\r\n .\r\n", b"\r\n .\r\n"),
    "CRLF dot dot CRLF": (b"\r\n..\r\n", b"\r\n.\r\n"),
    "CR NUL LF dot CRLF": (b"\r\0\n.\r\n", b" \0\r\n.\r\n"),
    "NEL dot NEL": (b"\xc2\x85.\xc2\x85", b"\xc2\x85.\xc2\x85"),
    "LS dot LS": (b"\xe2\x80\xa8.\xe2\x80\xa8", b"\xe2\x80\xa8.\xe2\x80\xa8"),
}
