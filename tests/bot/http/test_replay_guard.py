from __future__ import annotations

from bot.http.replay_guard import ReplayGuard


def test_a_key_is_new_once_and_again_after_its_time() -> None:
    seen = ReplayGuard(keep_s=10)

    assert [True, False, False, True] == [seen.first("a", at) for at in (0, 1, 9.9, 10)]


def test_what_is_remembered_has_a_bound_and_the_oldest_goes_first() -> None:
    seen = ReplayGuard(keep_s=10, most=3)
    for key in "abcd":
        seen.first(key, 0)

    assert (3, False, True) == (len(seen), seen.first("d", 0), seen.first("a", 0))


def test_a_key_that_is_forgotten_is_new() -> None:
    seen = ReplayGuard(keep_s=10)
    seen.first("a", 0)
    seen.forget("a")

    assert seen.first("a", 1)
