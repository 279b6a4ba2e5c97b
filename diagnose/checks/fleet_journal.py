"""The results of `diagnose fleet` on disk: JSON Lines, a domain each, complete lines only.

Whatever ends the program, every line but the last is whole; the last is dropped when the file is
opened again. One run at a time may have it open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from diagnose.finding import SCHEMA, Document, Verdict

LONGEST_LINE_BYTES: Final = 4_000_000
"""Far above what one domain can give."""

_BEGIN = f'{{"schema": "{SCHEMA}", "command": "fleet"'.encode()
_VERDICTS = {verdict.value for verdict in Verdict}


class NotOurs(Exception):
    """The file holds something else than results: nothing of it was touched. Lines from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


class OtherSenders(Exception):
    """The results in the file are about other `--via`, `--ip` or `--no-ordernow`."""


class Journal:
    """Results in a file, made if it is not there. Raises OSError as files do.

    `senders` are the sources that SPF was held against, as the coverage names them.
    """

    def __init__(self, path: Path, senders: Sequence[str]) -> None:
        self._senders = list(senders)
        self._file: FileIO = path.open("a+b", buffering=0)

    def results(self) -> Iterator[Document]:
        """The results that are there, in their order; then a half-written last line is dropped.

        Raises NotOurs and OtherSenders before anything is changed.
        """
        whole, half = 0, False
        with open(self._file.fileno(), "rb", closefd=False) as file:
            file.seek(0)
            for number, line in enumerate(_lines(file), 1):
                if not line.endswith(b"\n"):
                    if not (line.startswith(_BEGIN) or _BEGIN.startswith(line)):
                        raise NotOurs(number)
                    half = True
                    break
                yield self._result(line, number)
                whole += len(line)
        if half:
            self._file.truncate(whole)

    def write(self, result: Document) -> None:
        """Appends a result; when this returns it outlives the program."""
        data = memoryview(_line({**result, "senders": self._senders}))
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        self._file.close()

    def _result(self, line: bytes, number: int) -> Document:
        try:
            result = json.loads(line)
        except (ValueError, RecursionError):
            raise NotOurs(number) from None
        if not _is_result(result):
            raise NotOurs(number)
        if result.get("senders") != self._senders:
            raise OtherSenders
        return dict(result)


def _line(result: Document) -> bytes:
    return json.dumps(result).encode() + b"\n"


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines; what is longer than any of ours comes without its end, as if it were half written."""
    while line := file.readline(LONGEST_LINE_BYTES):
        yield line


def _is_result(result: object) -> bool:
    return (
        isinstance(result, dict)
        and result.get("schema") == SCHEMA
        and result.get("command") == "fleet"
        and isinstance(result.get("target"), str)
        and result.get("verdict") in _VERDICTS
        and isinstance(result.get("findings"), list)
        and all(
            isinstance(each, dict)
            and all(isinstance(each.get(key), str) for key in ("id", "severity", "title"))
            for each in result["findings"]
        )
    )
