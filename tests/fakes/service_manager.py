"""The service manager's end of sd_notify: a datagram socket that keeps what it was told."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self


class ServiceManager:
    """Listens on a path, or with `@name` in Linux's abstract space, until the block ends."""

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self._told: list[str] = []
        self._news = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._socket.bind(self.address.replace("@", "\0", 1))
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.address.replace("@", "\0", 1))

    def lines(self, start: str = "") -> list[str]:
        """Every line so far that begins so, in the order of arrival."""
        with self._news:
            return [line for line in self._told if line.startswith(start)]

    def wait_for(self, line: str, times: int = 1, seconds: float = 30.0) -> None:
        """Returns once this line, or one that begins so, came so often; raises TimeoutError."""
        self.wait_until(lambda: sum(each.startswith(line) for each in self._told) >= times, seconds)

    def wait_until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        """Returns once `true` is, which is asked after every datagram; raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(true, seconds):
                raise TimeoutError(f"not within {seconds} s: {self._told}")

    def silent(self, line: str, seconds: float) -> bool:
        """True where nothing that begins so comes for so long."""
        before = len(self.lines(line))
        with self._news:
            return not self._news.wait_for(
                lambda: sum(each.startswith(line) for each in self._told) > before, seconds
            )

    def _listen(self) -> None:
        with self._socket:
            while datagram := self._socket.recv(65_536):
                with self._news:
                    self._told += datagram.decode().split("\n")
                    self._news.notify_all()
