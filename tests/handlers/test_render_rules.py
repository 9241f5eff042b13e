from handlers.render.message import text_message
from handlers.render.rules import rules_message
from services.channels.rule_commands import RuleList
from services.rules.decide import RuleState, Side
from tests.fakes.blockkit import checked
from tests.handlers.boards import OPEN_AT, a_channel_rule


def test_a_very_long_list_of_rules_is_cut_and_says_so() -> None:
    fired = RuleState(firing=Side.ABOVE, fired_at=OPEN_AT)
    rules = [a_channel_rule(f"1d {n}.55pp above clear 0.1pp for 10m", id=1000 + n, state=fired) for n in range(1, 80)]
    message = rules_message(RuleList(rules=tuple(rules)), OPEN_AT)
    checked({"text": message.text, "blocks": message.blocks})
    assert "… and 37 more" == message.blocks[-3]["text"]["text"].splitlines()[-1]
    assert "`remove 1001`" in message.blocks[-1]["elements"][0]["text"]


def test_one_rule_is_singular() -> None:
    assert rules_message(RuleList(rules=(a_channel_rule(),)), OPEN_AT).text.startswith("1 rule in this channel:")


def test_a_text_over_slacks_section_limit_is_cut() -> None:
    message = text_message("x" * 5_000)
    checked({"text": message.text, "blocks": message.blocks})
    assert message.blocks[0]["text"]["text"].endswith("…")
