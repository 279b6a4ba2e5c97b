"""Whatever a server says, in whatever segments: a reply belongs to its command, or to none (O5)."""

import asyncio
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from presets.reply import Reply
from relay.smarthost.exchange import Exchange, ExchangeLost


class Wire:
    """A transport without a network."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        assert not self.closed, "nothing leaves after an end"
        self.sent += data

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


_REPLY = st.builds(
    lambda code, lines, extra: b"".join(
        [b"%d-%d\r\n" % (code, n) for n in range(lines)] + [b"%d %d\r\n" % (code, extra)]
    ),
    st.sampled_from([220, 250, 354, 421, 451, 550, 850]),
    st.integers(0, 2),
    st.integers(0, 99),
)
# What a server says to each command: one reply mostly, sometimes none, two, a half or nonsense.
_SAID = st.one_of(
    _REPLY,
    _REPLY,
    _REPLY,
    st.tuples(_REPLY, _REPLY).map(b"".join),
    _REPLY.map(lambda raw: raw[: len(raw) // 2]),
    st.sampled_from([b"", b"hello\r\n", b"2500 x\r\n", b"250-a\r\n550 b\r\n"]),
)


def segments(said: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    return [said[start:end] for start, end in itertools.pairwise(places)]


@settings(deadline=None)
@given(st.lists(st.tuples(_SAID, st.lists(st.integers(0, 40), max_size=4)), max_size=6))
def test_the_nth_reply_is_what_was_said_to_the_nth_command(
    dialog: list[tuple[bytes, list[int]]],
) -> None:
    asyncio.run(play(dialog))


async def play(dialog: list[tuple[bytes, list[int]]]) -> None:
    """Each command is sent once the one before has its reply, and all that was said has come."""
    wire = Wire()
    exchange = Exchange(wire)
    for number, (said, cuts) in enumerate(dialog):
        if not exchange.usable:
            break
        before = wire.sent
        exchange.write(b"NOOP %d\r\n" % number, replies=1)
        for segment in segments(said, cuts):
            exchange.data_received(segment)
        try:
            reply = await exchange.reply(0)
        except ExchangeLost:
            break
        # The first thing said since this command left, and whole.
        lines = said.split(b"\r\n")
        first = next(line for line in lines if line[3:4] == b" ")
        assert reply.code == int(first[:3])
        assert wire.sent == before + b"NOOP %d\r\n" % number
        more = said != b"".join(line + b"\r\n" for line in lines[: lines.index(first) + 1])
        assert exchange.usable is not more
        assert isinstance(reply, Reply)
    sent = wire.sent
    if not exchange.usable:
        exchange.abort("end")
        try:
            exchange.write(b"RSET\r\n", replies=1)
        except ExchangeLost:
            pass
        else:
            raise AssertionError("it was used again")
        assert wire.sent == sent
