"""How often gaps are closed 5 sessions after alerts, beside chance, over all symbols but the bitcoin fund."""

from collections.abc import Iterator

from services.research.follow_up import summarize_outcomes
from services.research.track_record import backtest
from services.rules.grammar import parse_rule
from tests.study.claim import Claim, real_pairs

RULES = ("1d 8pp", "5d 15pp", "20d 30pp")


def run() -> Iterator[Claim]:
    """Yield the pooled share for each rule; the cases of different symbols are not independent."""
    pairs = real_pairs()
    del pairs["IBIT"]
    for text in RULES:
        episodes = [
            episode for market in pairs.values() for episode in backtest(market, parse_rule(text, market.pair)).episodes
        ]
        pooled = summarize_outcomes([episode.outcome for episode in episodes if episode.outcome])
        if pooled and pooled.chance is not None:
            share = f"{pooled.closed / pooled.cases:.1%} of {pooled.cases:,}"
            yield Claim(f"Gaps closed 5 sessions after `{text}`, 15 symbols", f"{pooled.chance:.1%} by chance", share)
