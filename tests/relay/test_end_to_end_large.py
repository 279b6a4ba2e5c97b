"""Twenty messages of 25 MB at once, in and out, through a running relay (O18)."""

import hashlib
import threading
import time
from pathlib import Path

from fakes.prepared_relay import PreparedRelay
from fakes.sink import Sink, Swallowed

MANY = 20
MEGABYTE = 1_000_000
SIZE = 25 * MEGABYTE
MOST_GROWTH_BYTES = 150 * MEGABYTE
LINE = b"Een factuur van de bakkerij, als PDF in base64, en nog een, en nog een.\r\n"
CONTENT = b"Subject: groot\r\n\r\n" + LINE * (SIZE // len(LINE))


def test_twenty_large_messages_at_once_need_little_memory(tmp_path: Path) -> None:
    with Sink() as sink:
        tables = (
            f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {sink.port}\ntls = "none"\n'
            "max_connections = 10\n"
        )
        with PreparedRelay(tmp_path, tables) as relay:
            relay.send("info@bakkerij.nl", ["klant@example.net"], CONTENT[:MEGABYTE])
            relay.wait_for_event("delivered")
            before = relay.memory_bytes()
            answers: list[str] = []

            def send(n: int) -> None:
                with relay.connect() as client:
                    client.reply()
                    client.command("EHLO kassa")
                    client.command("MAIL FROM:<info@bakkerij.nl>")
                    client.command(f"RCPT TO:<klant{n}@example.net>")
                    answers.append(client.message(CONTENT))

            threads = [threading.Thread(target=send, args=(n,)) for n in range(MANY)]
            for thread in threads:
                thread.start()
            most, end = before, time.monotonic() + 90
            while len(sink.swallowed) <= MANY and time.monotonic() < end:
                most = max(most, relay.memory_bytes())
                sink.more.wait(0.02)
                sink.more.clear()
            for thread in threads:
                thread.join()
            assert [answer[:3] for answer in answers] == ["250"] * MANY
            assert len(sink.swallowed) == MANY + 1
            # The last outcomes may still be on their way into the spool.
            relay.wait_until(lambda: relay.queue() == [])
    print({"growth_bytes": most - before})
    assert most - before < MOST_GROWTH_BYTES
    body = CONTENT.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    expected = Swallowed(len(body), hashlib.sha256(body).hexdigest())
    assert sink.swallowed[1:] == [expected] * MANY
