import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.trust import Trust, Verdict

trusts = st.builds(Trust, verdict=st.sampled_from(Verdict), reasons=st.lists(st.sampled_from("abc")).map(tuple))


@pytest.mark.parametrize(
    ("verdict", "usable"),
    [(Verdict.OK, True), (Verdict.DEGRADED, True), (Verdict.STALE, False), (Verdict.SUSPECT, False)],
)
def test_rules_act_on_what_is_fresh_and_undisputed_only(verdict: Verdict, usable: bool) -> None:
    assert usable is verdict.usable


@pytest.mark.parametrize("better", list(Verdict))
@pytest.mark.parametrize("worse", list(Verdict))
def test_two_verdicts_come_to_the_worse(better: Verdict, worse: Verdict) -> None:
    order = [Verdict.OK, Verdict.DEGRADED, Verdict.STALE, Verdict.SUSPECT]
    expected = order[max(order.index(better), order.index(worse))]

    assert expected is Trust(verdict=better).also(Trust(verdict=worse)).verdict


def test_the_reasons_of_both_are_told_once_and_in_order() -> None:
    one = Trust(verdict=Verdict.STALE, reasons=("old", "alone"))

    assert ("old", "alone", "far") == one.also(Trust(reasons=("alone", "far"))).reasons


@given(trusts, trusts, trusts)
def test_it_does_not_matter_which_two_are_joined_first(one: Trust, two: Trust, three: Trust) -> None:
    assert one.also(two).also(three) == one.also(two.also(three))
    assert one.also(two).verdict is two.also(one).verdict
    assert set(one.also(two).reasons) == set(two.also(one).reasons)


@given(trusts)
def test_trust_that_says_nothing_changes_nothing(trust: Trust) -> None:
    once = trust.also(Trust())

    assert once == once.also(trust) == Trust().also(trust)
    assert trust.verdict is once.verdict
