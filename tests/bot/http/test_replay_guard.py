from bot.http.slack_requests import ReplayGuard


def test_a_key_is_new_once_until_it_expires() -> None:
    guard = ReplayGuard(ttl_s=10)

    assert [True, False, False, True] == [guard.add("a", at) for at in (0, 1, 9.9, 10)]


def test_at_capacity_the_oldest_key_is_evicted() -> None:
    guard = ReplayGuard(ttl_s=10, capacity=3)
    for key in "abcd":
        guard.add(key, 0)

    assert (3, False, True) == (len(guard), guard.add("d", 0), guard.add("a", 0))


def test_a_discarded_key_is_new() -> None:
    guard = ReplayGuard(ttl_s=10)
    guard.add("a", 0)
    guard.discard("a")

    assert guard.add("a", 1)
