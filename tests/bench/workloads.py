"""What is measured: the loads, in full and in short."""

from bench.counted import Offer
from bench.load import Load
from bench.nodes import Setting
from bench.throughput import Workload

_ALL = ("relay", "postfix", "postfix reuse")


def throughput(short: bool) -> list[Workload]:
    """The loads of the comparison; `short` are a few messages of each, to see that it works.

    smtp_tls_connection_reuse concerns TLS alone: without TLS Postfix reuses connections as it
    comes, and the variant is not measured.
    """
    plain = [
        Workload(
            f"4 kB, {sessions} session{'s' if sessions > 1 else ''},"
            f" {'kept' if kept else 'one connection a message'}",
            Load(20 if short else messages, 4_000, sessions, kept),
        )
        for sessions, messages in ((10, 2000), (1, 500))[: 1 if short else 2]
        for kept in (False, True)
    ]
    provider = Load(12 if short else 240, 60_000, 10)
    return [
        *plain,
        Workload("200 kB, 5 sessions", Load(12 if short else 600, 200_000, 5)),
        *(
            Workload(
                f"60 kB, TLS, login, 20 ms, 3 connections{', CHUNKING' if chunking else ''}",
                provider,
                Offer(tls=True, delay_milliseconds=20, max_connections=3, chunking=chunking),
                _ALL,
            )
            for chunking in ((True,) if short else (False, True))
        ),
    ]


def latency(short: bool) -> tuple[int, Load]:
    """How many messages are timed while idle, and the load to time others beside."""
    return (10, Load(30, 4_000, 10)) if short else (300, Load(3000, 4_000, 10))


def large(short: bool) -> Load:
    return Load(2, 1_000_000, 2) if short else Load(20, 25_000_000, 20)


def backlog(short: bool) -> tuple[list[int], Load]:
    """How many messages wait, and the new mail beside them."""
    if short:
        return [0, 100], Load(20, 4_000, 10)
    return [0, 1_000, 10_000, 100_000], Load(1000, 4_000, 10)


def nodes(short: bool) -> tuple[list[int], list[Setting]]:
    """How many nodes, and what passes through them together."""
    shared = Offer(tls=True, delay_milliseconds=20, max_connections=4, chunking=True)
    settings = [
        Setting("no limit", Load(16 if short else 3000, 4_000, 16, kept=True)),
        Setting(
            "one account: TLS, 20 ms, 4 connections, a day's limit",
            Load(16 if short else 600, 4_000, 16, kept=True),
            shared,
            "messages_per_day = 1000000",
        ),
    ]
    return ([2] if short else [1, 2, 4]), settings


def claims(short: bool) -> tuple[list[int], list[int], int]:
    """How many messages wait, how many nodes, and how many messages are claimed."""
    return ([100], [2], 40) if short else ([1_000, 10_000, 100_000], [1, 4], 2_000)


def curves(short: bool) -> dict[str, list[tuple[int, Load]]]:
    """The loads for each step of what grows."""
    if short:
        return {
            "connections": [(step, Load(20, 4_000, step)) for step in (1, 10)],
            "recipients": [(step, Load(5, 4_000, 5, recipients=step)) for step in (1, 10)],
            "bytes": [(step, Load(5, step, 5)) for step in (1_000, 100_000)],
        }
    return {
        "connections": [
            (step, Load(1000, 4_000, step)) for step in (1, 2, 5, 10, 20, 50, 100, 200)
        ],
        "recipients": [
            (step, Load(messages, 4_000, 5, recipients=step))
            for step, messages in ((1, 500), (2, 500), (5, 400), (10, 300), (50, 150), (100, 100))
        ],
        "bytes": [
            (step, Load(messages, step, 5))
            for step, messages in (
                *((1_000, 1000), (10_000, 1000), (100_000, 500)),
                *((1_000_000, 100), (10_000_000, 15), (25_000_000, 10)),
            )
        ],
    }
