from datetime import UTC, datetime, timedelta

import pytest

from services.delivery.pacing import LOOKUPS_PER_MINUTE, UNLIMITED_AFTER, WorkspacePacer

AT = datetime(2026, 11, 17, 15, 40, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def pacer() -> WorkspacePacer:
    return WorkspacePacer()


def taken(pacer: WorkspacePacer, team: str, at: datetime) -> int:
    """Return how many of 1,000 messages may be sent at once."""
    return sum(pacer.take(team, at) for _ in range(1_000))


def slowed(pacer: WorkspacePacer, sent: int) -> datetime:
    """Answer 429 after this many messages in a minute; return when the pause of 30 s ends."""
    for number in range(sent):
        pacer.count_sent("T1", AT - MINUTE * number / max(sent, 1))
    assert pacer.slow_down("T1", AT + 30 * SECOND, AT)
    return AT + 30 * SECOND


def test_a_workspace_has_no_limit_before_a_429(pacer: WorkspacePacer) -> None:
    assert (1_000, [], None) == (taken(pacer, "T1", AT), pacer.held_teams(AT), pacer.next_at(AT))


def test_after_a_429_a_workspace_is_sent_what_it_accepted_in_the_minute_before(pacer: WorkspacePacer) -> None:
    begin = slowed(pacer, 300)

    at_once = taken(pacer, "T1", begin)
    in_a_minute = sum(taken(pacer, "T1", begin + second * SECOND) for second in range(1, 60))

    assert (10, 295) == (at_once, in_a_minute)
    assert 1_000 == taken(pacer, "T2", begin)


def test_a_workspace_that_accepted_nothing_gets_a_message_a_second(pacer: WorkspacePacer) -> None:
    begin = slowed(pacer, 0)

    assert 2 == taken(pacer, "T1", begin)
    assert ["T1"] == pacer.held_teams(begin)
    assert begin + SECOND == pacer.next_at(begin)
    assert 1 == taken(pacer, "T1", begin + SECOND)


def test_a_limit_grows_and_ends(pacer: WorkspacePacer) -> None:
    begin = slowed(pacer, 60)
    taken(pacer, "T1", begin)

    later = begin + 3 * MINUTE
    taken(pacer, "T1", later)
    grown = sum(taken(pacer, "T1", later + second * SECOND) for second in range(1, 60))

    assert 100 < grown < 130
    assert 1_000 == taken(pacer, "T1", begin + UNLIMITED_AFTER)


def test_other_429s_of_the_same_pause_change_nothing(pacer: WorkspacePacer) -> None:
    slowed(pacer, 300)

    assert not pacer.slow_down("T1", AT + 30 * SECOND, AT)
    assert pacer.slow_down("T1", AT + 60 * SECOND, AT)


def test_a_clock_that_is_set_back_ends_a_limit(pacer: WorkspacePacer) -> None:
    begin = slowed(pacer, 0)

    assert 1_000 == taken(pacer, "T1", begin - timedelta(hours=1))


def test_look_ups_are_spread_so_that_each_has_its_time(pacer: WorkspacePacer) -> None:
    times = {f"key {number}": pacer.lookup_at("T1", f"key {number}", AT) for number in range(LOOKUPS_PER_MINUTE + 2)}
    waiting = [key for key, at in times.items() if at > AT]

    assert [AT + 1.2 * SECOND, AT + 2.4 * SECOND] == [times[key] for key in waiting]
    assert [times[key] for key in waiting] == [pacer.lookup_at("T1", key, times[key]) for key in waiting]
    assert AT == pacer.lookup_at("T2", "key", AT)


def test_after_a_refused_look_up_there_is_one_per_wait(pacer: WorkspacePacer) -> None:
    pacer.slow_lookups("T1", MINUTE, AT)

    first, second = pacer.lookup_at("T1", "one", AT + MINUTE), pacer.lookup_at("T1", "two", AT + MINUTE)

    assert (AT + MINUTE, AT + 2 * MINUTE) == (first, second)
    assert AT + 2 * timedelta(hours=1) == pacer.lookup_at("T1", "three", AT + 2 * timedelta(hours=1))


@pytest.mark.parametrize("sent", range(61, 400, 13))
def test_a_message_may_be_sent_when_it_is_due(pacer: WorkspacePacer, sent: int) -> None:
    """Otherwise the delivery loop would ask again and again without waiting."""
    at = slowed(pacer, sent)
    for _ in range(20):
        taken(pacer, "T1", at)
        due = pacer.next_at(at)
        assert due is not None
        assert due > at
        assert pacer.take("T1", due)
        at = due
