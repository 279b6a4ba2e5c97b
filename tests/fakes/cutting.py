"""A way to PostgreSQL that is cut at a chosen moment: before a statement arrives, or before its
answer does."""

import asyncio
import contextlib
from typing import Self


class CuttingProxy:
    """At `port` on loopback. `cut(words, answer)`: the next message to the server that holds
    `words` ends the connection, before the server has it, or where `answer` after it has done it.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.cuts = 0
        self.closed = False
        """Refuse whoever comes."""
        self._target = target
        self._words: bytes | None = None
        self._answer = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, words: bytes, *, answer: bool) -> None:
        """Arm it, once."""
        self._words, self._answer = words, answer

    def hang_up(self) -> None:
        """Cut every connection now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self.closed:
                return
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(up_writer)
            swallow = asyncio.Event()
            try:
                down = asyncio.create_task(self._answers(up_reader, writer, swallow))
                await self._questions(reader, up_writer, swallow)
                if swallow.is_set():
                    await down  # until the server has done it and answered
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)
            finally:
                self._writers.discard(up_writer)
                up_writer.transport.abort()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    async def _questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self._words is not None and self._words in data:
                self._words = None
                self.cuts += 1
                if not self._answer:
                    return
                swallow.set()
                writer.write(data)
                return
            writer.write(data)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if swallow.is_set():
                    return
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
