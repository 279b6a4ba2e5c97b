"""The alarm book: told once, again after a day, told when over, and never too many an hour."""

from datetime import UTC, datetime, timedelta
from string import Formatter

import pytest

from relay.monitor.alarm_texts import KINDS, notice_text
from relay.monitor.alarms import CALM, MOST_MINOR, MOST_TOLD, AlarmBook, Condition, Notice, Stage

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PAUSED = Condition("account-paused", "bakker isp", {"username": "bakker", "host": "isp"})
MINUTE = timedelta(minutes=1)


def tell(book: AlarmBook, now: datetime) -> list[Notice]:
    """What is pending, told."""
    notices = book.pending(now)
    for notice in notices:
        book.told(notice, now)
    return notices


def stages(notices: list[Notice]) -> list[str]:
    return [notice.stage.value for notice in notices]


def test_an_alarm_is_told_once_until_a_day_later_and_when_it_is_over() -> None:
    book, told = AlarmBook(), []
    now = START
    for _ in range(25 * 60):
        book.see(now, [PAUSED])
        told += [(now - START, each.stage) for each in tell(book, now)]
        now += MINUTE
    over = now
    for _ in range(10):
        book.see(now, [])
        told += [(now - over, each.stage) for each in tell(book, now)]
        now += MINUTE
    assert told == [
        (timedelta(), Stage.RAISED),
        (timedelta(hours=24), Stage.REMINDER),
        (CALM, Stage.CLEARED),
    ]
    assert list(book.standing()) == []


def test_what_comes_back_at_once_is_the_same_alarm() -> None:
    book, told = AlarmBook(), []
    for minute in range(60):
        now = START + minute * MINUTE
        book.see(now, [PAUSED] if minute % 4 < 2 else [])
        told += tell(book, now)
    assert stages(told) == ["raised"]


def test_what_nobody_heard_of_has_no_end_to_tell() -> None:
    book = AlarmBook()
    book.see(START, [PAUSED])
    assert stages(book.pending(START)) == ["raised"]  # and no path takes it
    for minute in range(1, 10):
        book.see(START + minute * MINUTE, [])
        assert book.pending(START + minute * MINUTE) == []


def test_what_could_not_be_told_stays_pending() -> None:
    book = AlarmBook()
    book.see(START, [PAUSED])
    assert book.pending(START) == book.pending(START + MINUTE)


def test_a_look_that_missed_a_part_clears_nothing() -> None:
    book = AlarmBook()
    book.see(START, [PAUSED])
    tell(book, START)
    for minute in range(1, 20):
        book.see(START + minute * MINUTE, [], complete=False)
        assert tell(book, START + minute * MINUTE) == []


def test_an_hour_has_at_most_so_many_and_one_line_for_the_rest() -> None:
    book = AlarmBook()
    conditions = [Condition("dkim-key", f"{number}.nl") for number in range(50)]
    book.see(START, conditions)
    first = tell(book, START)
    assert stages(first) == ["raised"] * MOST_TOLD + ["suppressed"]
    assert first[-1].count == 30
    for minute in range(1, 60):
        book.see(START + minute * MINUTE, conditions)
        assert tell(book, START + minute * MINUTE) == []
    now = START + 60 * MINUTE
    book.see(now, conditions)
    later = tell(book, now)
    assert stages(later) == ["raised"] * MOST_TOLD, "the rest is grave: it is told as there is room"
    assert {each.subject for each in first if each.subject}.isdisjoint(
        each.subject for each in later
    )


def test_a_swarm_of_devices_leaves_room_for_what_is_grave() -> None:
    book = AlarmBook()
    swarm = [Condition("refused-device", f"192.168.1.{number}") for number in range(100)]
    book.see(START, swarm)
    first = tell(book, START)
    assert stages(first) == ["raised"] * MOST_MINOR + ["suppressed"]
    assert first[-1].count == 90
    book.see(START + MINUTE, [*swarm, PAUSED])
    assert [each.kind for each in tell(book, START + MINUTE)] == ["account-paused"]
    for hour in range(1, 24):
        book.see(START + hour * 60 * MINUTE, [*swarm, PAUSED])
        assert tell(book, START + hour * 60 * MINUTE) == [], "what was suppressed does not trickle"


def test_the_end_of_what_was_suppressed_is_not_told() -> None:
    book = AlarmBook()
    swarm = [Condition("refused-device", f"192.168.1.{number}") for number in range(30)]
    book.see(START, swarm)
    tell(book, START)
    now = START + timedelta(hours=2)
    book.see(now, [])
    book.see(now + CALM, [])
    assert stages(tell(book, now + CALM)) == ["cleared"] * MOST_MINOR
    assert list(book.standing()) == []


def test_what_only_happened_is_counted_and_ends_by_itself() -> None:
    book = AlarmBook()
    event = Condition("dsn-undeliverable", "", {"reason": "550 no"})
    told = []
    for hour in range(30):
        book.happened(START + timedelta(hours=hour), event)
        book.see(START + timedelta(hours=hour), [])
        told += tell(book, START + timedelta(hours=hour))
    assert [(each.stage, each.count) for each in told] == [(Stage.RAISED, 1), (Stage.REMINDER, 25)]
    told = []
    for hour in range(30, 60):
        book.see(START + timedelta(hours=hour), [])
        told += [(hour, each.count) for each in tell(book, START + timedelta(hours=hour))]
    assert told == [(48, 30)], "the five since the reminder, and no word of an end"
    assert list(book.standing()) == []


def test_a_restart_forgets_nothing() -> None:
    book = AlarmBook()
    conditions = [Condition("dkim-key", f"{number}.nl") for number in range(25)]
    book.see(START, [PAUSED, *conditions])
    tell(book, START)
    again = AlarmBook.restore(book.dump())
    assert again.dump() == book.dump()
    again.see(START + MINUTE, [PAUSED, *conditions])
    assert tell(again, START + MINUTE) == []


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "x", '{"alarms": [1], "told": []}'])
def test_a_book_that_cannot_be_read_is_an_empty_one(text: str | None) -> None:
    assert list(AlarmBook.restore(text).standing()) == []


def test_a_clock_that_was_ahead_silences_nothing() -> None:
    book = AlarmBook()
    ahead = START + timedelta(days=400)
    book.see(ahead, [PAUSED])
    tell(book, ahead)
    book.see(START, [PAUSED])
    assert tell(book, START) == []
    book.see(START + timedelta(hours=24), [PAUSED])
    assert stages(tell(book, START + timedelta(hours=24))) == ["reminder"]


def test_every_text_is_there_in_both_languages_with_the_same_blanks() -> None:
    for dutch, english in KINDS.values():
        blanks = [{name for _, name, _, _ in Formatter().parse(text)} for text in (dutch, english)]
        assert blanks[0] == blanks[1]


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("kind", [*KINDS, "of-another-version"])
def test_a_text_is_one_line_whatever_its_values_are(kind: str, stage: Stage, language: str) -> None:
    hostile = {"reason": "550 a\r\nb\x1b[31m{x}" * 200, "username": "{0.__class__}"}
    text = notice_text(Notice(stage, kind, "x", hostile, START), language)  # type: ignore[arg-type]
    assert text.isprintable()
    assert 0 < len(text) <= 1000
