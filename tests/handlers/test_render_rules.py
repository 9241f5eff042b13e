from __future__ import annotations

from handlers.render.message import text_message
from handlers.render.rules import rules_message
from services.channels.rule_commands import Listing
from services.rules.decide import RuleState, Side
from tests.fakes.blockkit import checked
from tests.handlers.boards import OPEN_AT, a_watch


def test_a_very_long_list_of_rules_is_cut_and_says_so() -> None:
    fired = RuleState(firing=Side.ABOVE, fired_at=OPEN_AT)
    watches = [a_watch(f"1d {n}.55pp above clear 0.1pp for 10m", id=1000 + n, state=fired) for n in range(1, 80)]
    message = rules_message(Listing(watches=tuple(watches)), OPEN_AT)
    checked({"text": message.text, "blocks": message.blocks})
    assert "… and 37 more" == message.blocks[-3]["text"]["text"].splitlines()[-1]
    assert "`remove 1001`" in message.blocks[-1]["elements"][0]["text"]


def test_one_rule_is_counted_as_one() -> None:
    assert rules_message(Listing(watches=(a_watch(),)), OPEN_AT).text.startswith("1 rule in this channel:")


def test_the_longest_text_that_slack_takes_in_one_section_is_cut() -> None:
    message = text_message("x" * 5_000)
    checked({"text": message.text, "blocks": message.blocks})
    assert message.blocks[0]["text"]["text"].endswith("…")
