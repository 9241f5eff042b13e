import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.trust import Trust, Verdict

trusts = st.builds(Trust, verdict=st.sampled_from(Verdict), reasons=st.lists(st.sampled_from("abc")).map(tuple))


@pytest.mark.parametrize(
    ("verdict", "usable"),
    [(Verdict.OK, True), (Verdict.DEGRADED, True), (Verdict.STALE, False), (Verdict.SUSPECT, False)],
)
def test_only_ok_and_degraded_values_are_usable(verdict: Verdict, usable: bool) -> None:
    assert usable is verdict.usable


@pytest.mark.parametrize("better", list(Verdict))
@pytest.mark.parametrize("worse", list(Verdict))
def test_the_worse_verdict_wins(better: Verdict, worse: Verdict) -> None:
    order = [Verdict.OK, Verdict.DEGRADED, Verdict.STALE, Verdict.SUSPECT]
    expected = order[max(order.index(better), order.index(worse))]

    assert expected is Trust(verdict=better).combined_with(Trust(verdict=worse)).verdict


def test_reasons_are_combined_in_order_without_duplicates() -> None:
    one = Trust(verdict=Verdict.STALE, reasons=("old", "alone"))

    assert ("old", "alone", "far") == one.combined_with(Trust(reasons=("alone", "far"))).reasons


@given(trusts, trusts, trusts)
def test_combining_trust_is_associative(one: Trust, two: Trust, three: Trust) -> None:
    assert one.combined_with(two).combined_with(three) == one.combined_with(two.combined_with(three))
    assert one.combined_with(two).verdict is two.combined_with(one).verdict
    assert set(one.combined_with(two).reasons) == set(two.combined_with(one).reasons)


@given(trusts)
def test_combining_with_full_trust_changes_nothing(trust: Trust) -> None:
    once = trust.combined_with(Trust())

    assert once == once.combined_with(trust) == Trust().combined_with(trust)
    assert trust.verdict is once.verdict
