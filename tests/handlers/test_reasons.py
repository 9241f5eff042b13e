"""Every reason has one sentence, and every use of a reason has the parameters that its sentence needs."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from handlers.render.markup import NBSP
from handlers.render.reasons import SENTENCES, rendered, sentence, sentences
from handlers.render.reasons import reason as in_slack
from services.core.reason import Code, Reason

ROOT = Path(__file__).parents[2]
of = Reason.of

AT = "2026-03-02T15:04:05+00:00"
PAST = of(Code.RULE_PAST_THRESHOLD, value=0.083, threshold=0.08, unit="pp", held_s=300.0, at_close=False)
NO_QUOTE = of(Code.NO_QUOTE, symbol="BTC")
MOVE = of(Code.MOVED_LIKE_SPLIT, moved=-0.5, steps=2, step="session", new=2, old=1)
CORRECTION = of(Code.CORRECTION, session="2026-03-02", old=0.084, new=0.0799999, threshold=0.08, unit="pp")
EXAMPLES: list[tuple[Reason, str]] = [
    (of(Code.ALL_OF, reasons=[NO_QUOTE, "away", NO_QUOTE]), "no BTC quote; away"),
    (of(Code.EACH_OF, reasons=[NO_QUOTE, "away"]), "no BTC quote, away"),
    (of(Code.OF_RULE, rule="1d 8pp", reason=PAST), "`1d 8pp`: +8.3 pp crossed the 8 pp threshold and held for 5 min"),
    (of(Code.RULE_AWAITS_TRADE, reason=NO_QUOTE), "no decision yet (no BTC quote)"),
    (of(Code.RULE_HAS_NO_DATA, reason=NO_QUOTE), "no decision (no BTC quote)"),
    (
        of(Code.RULE_WITHIN_THRESHOLD, value=0.0799999, threshold=0.08, unit="pp"),
        "+7.99999 pp hasn't crossed the 8 pp threshold",
    ),
    (
        of(Code.RULE_WITHIN_THRESHOLD, value=-3.4999, threshold=3.5, unit="z"),
        "z −3.4999 hasn't crossed the z 3.5 threshold",
    ),
    (
        of(Code.RULE_KEEPS_FIRING, value=0.048, clear=0.048, unit="pp"),
        "+4.8 pp hasn't cleared; the clear level is 4.8 pp",
    ),
    (
        of(Code.RULE_PENDING, value=-0.09, threshold=0.08, unit="pp", held_s=299.0, hold_s=5400.0),
        "−9.0 pp crossed the −8 pp threshold, held for 4 min of 1 h 30 min",
    ),
    (
        of(Code.RULE_PENDING, value=0.1, threshold=0.08, unit="pp", held_s=45.0, hold_s=7200.0),
        "+10.0 pp crossed the 8 pp threshold, held for 45 s of 2 h",
    ),
    (PAST, "+8.3 pp crossed the 8 pp threshold and held for 5 min"),
    (
        of(Code.RULE_PAST_THRESHOLD, value=0.0812314, threshold=0.081231, unit="%", held_s=0.0, at_close=True),
        "+8.1231% crossed the 8.1231% threshold at the close",
    ),
    (
        of(Code.RULE_PAST_THRESHOLD, value=3.6, threshold=3.5, unit="z", held_s=0.0, at_close=False),
        "z +3.6 crossed the z 3.5 threshold",
    ),
    (
        of(Code.RULE_RECOVERING, value=-0.00001, clear=0.048, unit="pp", kept_s=0.0, keep_s=300.0),
        "0.0 pp, inside the 4.8 pp clear level, for 0 s of 5 min",
    ),
    (
        of(Code.RULE_CLEARED, value=0.0479999, clear=0.048, unit="pp", kept_s=0.0),
        "cleared: +4.79999 pp, inside the 4.8 pp clear level",
    ),
    (
        of(Code.RULE_CLEARED, value=0.04, clear=0.048, unit="pp", kept_s=3660.0),
        "cleared: +4.0 pp, inside the 4.8 pp clear level for 1 h 1 min",
    ),
    (of(Code.TOO_LITTLE_HISTORY, metric="residual"), "not enough history for residual"),
    (of(Code.NETWORK_NOT_READ), "bitcoin network data wasn't fetched"),
    (of(Code.GAP_UNKNOWN), "no bitcoin price since the close, or no beta"),
    (of(Code.MARKET_CLOSED, session="2026-03-02"), "the market is closed; the last session was Mar 2, 2026"),
    (of(Code.LAST_TRADE_AT, symbol="BTC", at=AT), "the last BTC trade is from Mar 2, 10:04 AM ET"),
    (NO_QUOTE, "no BTC quote"),
    (
        of(Code.NO_TRADE_IN_SESSION, symbol="WGMI", session="2026-03-02"),
        "no WGMI trade yet in the session of Mar 2, 2026",
    ),
    (of(Code.TRADE_TOO_OLD, symbol="WGMI", source="Yahoo", age_min=21), "the last WGMI trade from Yahoo is 21 min old"),
    (
        of(Code.NO_PRICE_AT, symbol="BTC", at=AT, other="WGMI"),
        "no BTC price at 10:04 AM ET, the time of the last WGMI trade",
    ),
    (of(Code.QUOTE_LAGS, symbol="BTC", other="WGMI", lag_s=180), "the BTC quote is 180 s older than WGMI's"),
    (of(Code.NO_PRICE), "no price"),
    (of(Code.MISSING_PRICE, session="2026-03-02", reasons=[]), "no price on Mar 2, 2026"),
    (
        of(Code.MISSING_PRICE, session="2026-03-02", reasons=[of(Code.NO_CLOSE, source="A", symbol="WGMI"), "lost"]),
        "on Mar 2, 2026, A has no WGMI close for this session; lost",
    ),
    (of(Code.HISTORY_BEGINS, session="2026-03-02"), "history starts on Mar 2, 2026"),
    (
        of(Code.WINDOW_BEFORE_HISTORY, session="2026-03-02", window="20d"),
        "history starts on Mar 2, 2026, after the start of the 20-session window",
    ),
    (
        of(Code.WINDOW_BEFORE_HISTORY, session="2026-03-02", window="ytd"),
        "history starts on Mar 2, 2026, after the last close of the prior year",
    ),
    (
        of(Code.CLOSE_WITHOUT_SESSION, source="Yahoo", session="2026-03-01"),
        "Yahoo has a close on Mar 1, 2026, which isn't an NYSE session",
    ),
    (of(Code.NO_CLOSE, source="Yahoo", symbol="WGMI"), "Yahoo has no WGMI close for this session"),
    (
        of(Code.NO_CLOSE, source="Yahoo and Nasdaq", symbol="WGMI"),
        "Yahoo and Nasdaq have no WGMI close for this session",
    ),
    (
        of(Code.NO_PROXY_CLOSE, session="2026-03-02", source="Yahoo and Nasdaq", symbol="SMH"),
        "Yahoo and Nasdaq have no SMH close for Mar 2, 2026",
    ),
    (
        of(Code.NO_BAR_BEFORE_CLOSE, symbol="BTC", last_at=AT),
        "no BTC bar ended in the 2 h before the close; the last one ended Mar 2, 10:04 AM ET",
    ),
    (
        of(Code.NO_BAR_BEFORE_CLOSE, symbol="BTC", last_at=None),
        "no BTC bar ended in the 2 h before the close; the bars start later",
    ),
    (of(Code.NO_BAR_THAT_DAY, source="Kraken", symbol="BTC"), "Kraken has no BTC bar for this day"),
    (
        of(Code.BAR_PENDING, symbol="BTC", last_at=AT),
        "the BTC bar that ends at the close hasn't arrived yet; the last one ended Mar 2, 10:04 AM ET",
    ),
    (
        of(
            Code.WINDOW_BEGINS_WHERE,
            window="5d",
            reason=of(Code.CLOSE_FROM_ONE_SOURCE, symbol="WGMI", sources=["Yahoo"]),
        ),
        "at the start of the 5-session window, WGMI's close is from Yahoo only",
    ),
    (of(Code.CLOSE_FROM_ONE_SOURCE, symbol="WGMI", sources=["Yahoo"]), "WGMI's close is from Yahoo only"),
    (
        of(Code.CLOSES_APART, symbol="WGMI", sources=["Yahoo", "Nasdaq"], apart=0.00512),
        "Yahoo and Nasdaq are 0.5% apart on WGMI's close",
    ),
    (
        of(Code.MOVED_UNLIKE_FUND, moved=-0.052, fund="IBIT", fund_moved=0.001),
        "moved −5.2% at one venue, while IBIT, which holds it, moved +0.1%",
    ),
    (
        of(Code.EX_DIVIDEND, symbol="WGMI", session="2026-03-02", amount_usd=0.125),
        "WGMI went ex-dividend on Mar 2, 2026 ($0.125 a share, included in its returns)",
    ),
    (
        of(
            Code.ACTION_INVALID,
            symbol="WGMI",
            session="2026-03-02",
            kind="dividend",
            declared=[("Yahoo", float("nan"))],
        ),
        "Yahoo reports a $nan dividend for WGMI on Mar 2, 2026, which can't be right; it's ignored",
    ),
    (
        of(
            Code.ACTION_DISPUTED,
            symbol="WGMI",
            session="2026-03-02",
            kind="split",
            declared=[("Yahoo", 2.0), ("Nasdaq", 0.25)],
        ),
        (
            "sources disagree on WGMI's split on Mar 2, 2026 (Yahoo 2-for-1, Nasdaq 1-for-4); "
            "it's ignored until they agree"
        ),
    ),
    (
        of(Code.ACTION_UNCONFIRMED, symbol="WGMI", session="2026-03-02", kind="dividend", declared=[("Yahoo", 12.5)]),
        (
            "only Yahoo reports a $12.50 dividend for WGMI on Mar 2, 2026; "
            "it's ignored until a second source confirms it"
        ),
    ),
    (
        of(Code.ACTION_UNUSABLE, symbol="WGMI", session="2026-03-02", kind="split", source="Yahoo"),
        (
            "Yahoo reports a split for WGMI on Mar 2, 2026 without a usable ratio; returns across it are "
            "suspect until a second source or a later response has the ratio"
        ),
    ),
    (
        of(Code.ACTION_AMOUNT_UNKNOWN, symbol="WGMI", session="2026-03-02", kind="dividend"),
        "the amount of WGMI's dividend on Mar 2, 2026 is unknown",
    ),
    (
        of(Code.TRADE_OF_OUTVOTED_SOURCE, symbol="WGMI", source="Yahoo"),
        "WGMI's last trade is from Yahoo only, and its closes differ from those of the other sources",
    ),
    (
        of(Code.SOURCE_OUTVOTED, source="Yahoo", symbol="WGMI", sessions=636, witnesses=["Nasdaq"]),
        (
            "636 of Yahoo's WGMI closes differ from those of Nasdaq and from earlier closes that two sources "
            "confirmed; Yahoo's are ignored until a second source agrees"
        ),
    ),
    (
        of(Code.SOURCE_OUTVOTED, source="Yahoo", symbol="WGMI", sessions=1, witnesses=[]),
        (
            "1 of Yahoo's WGMI closes differs from earlier closes that two sources confirmed; "
            "Yahoo's are ignored until a second source agrees"
        ),
    ),
    (
        of(Code.VENUE_OUTVOTED, source="Coinbase", symbol="BTC", hours=72, witnesses=["Bitstamp"]),
        (
            "72 of Coinbase's hourly BTC prices differ from those of Bitstamp and from earlier prices that two sources "
            "confirmed; Coinbase's are ignored until a second source agrees"
        ),
    ),
    (
        of(Code.SCALE_UNCONFIRMED, source="Yahoo", symbol="WGMI", ratio=0.1),
        (
            "Yahoo's WGMI closes are 0.1 times those that two sources confirmed before, as after a split "
            "that no source reports. New closes are converted; its last trade isn't used. To resolve this, ask "
            "your MinerPulse administrator to add a second source to `MINERPULSE_ETF_SOURCES`"
        ),
    ),
    (
        of(Code.VALUES_DROPPED, source="Yahoo", symbol="WGMI", values=["chart.result.0.meta.regularMarketPrice", "…"]),
        "Yahoo (WGMI): unusable values ignored (chart.result.0.meta.regularMarketPrice, …)",
    ),
    (of(Code.NO_TRADE_ANYWHERE, symbol="WGMI"), "no WGMI trade from any source; the exchange may have been closed"),
    (
        of(Code.OF_SYMBOL, symbol="BTC", reason=of(Code.MOVE_UNCONFIRMED, move=MOVE)),
        "BTC moved −50.0% in 2 sessions, the size of a 2:1 split, and no second source confirms it",
    ),
    (
        of(Code.MOVE_UNCONFIRMED, move=MOVE),
        "moved −50.0% in 2 sessions, the size of a 2:1 split, and no second source confirms it",
    ),
    (
        of(Code.SPLIT_UNDECLARED, move=MOVE),
        (
            "moved −50.0% in 2 sessions, the size of a 2:1 split, and no source reports a split; "
            "the next close will show whether it was one"
        ),
    ),
    (MOVE, "moved −50.0% in 2 sessions, the size of a 2:1 split"),
    (
        of(Code.MOVED_FAR, moved=12.5, steps=1, step="hour", period="hour"),
        "moved +1,250.0%, far more than its usual hour",
    ),
    (of(Code.NO_LAST_TRADE), "no last trade"),
    (of(Code.TRADE_FROM_ONE_SOURCE, symbol="WGMI", source="Yahoo"), "WGMI's last trade is from Yahoo only"),
    (of(Code.TRADES_APART, low_source="Yahoo", high_source="IEX", apart=0.0149), "Yahoo and IEX are 1.5% apart"),
    (of(Code.NO_VOLUME), "no volume, so no trades"),
    (of(Code.PRICE_OUTLIER, source="Yahoo", price=12.5, off=0.031), "Yahoo has $12.50, 3.1% off the others"),
    (
        of(Code.PRICES_DISPUTED, prices=[("Kraken", 50_000.0), ("Coinbase", 55_000.0)]),
        "Kraken has $50,000 and Coinbase $55,000, 10.0% apart",
    ),
    (
        of(Code.PRICES_DISPUTED, prices=[("Kraken", 999.5), ("Bitstamp", 1_000.0), ("Coinbase", 1_100.0)]),
        "Kraken has $999.50, Bitstamp $1,000 and Coinbase $1,100, up to 10.1% apart",
    ),
    (
        of(Code.HOLDINGS_CLOSES_DEGRADED, holdings=20, degraded=2, worst="stale"),
        "last closes are degraded for 2 of 20 holdings, at worst stale",
    ),
    (
        of(Code.SOURCE_FAULT, source="Yahoo", symbol="WGMI", fault=of(Code.CLOSES_UNRELATED)),
        ("Yahoo (WGMI): sent closes that look like another symbol's, and no split explains them; they are ignored"),
    ),
    (
        of(Code.CLOSES_LATE, newest="2026-03-02", behind_sessions=3),
        "late; its last close is from Mar 2, 2026, 3 sessions behind",
    ),
    (of(Code.TRADE_LATE, at=AT), "late; its last trade is from Mar 2, 10:04 AM ET"),
    (of(Code.TRADE_AHEAD_OF_CLOCK, at=AT), "its last trade is from 10:04 AM ET, ahead of this machine's clock"),
    (
        of(Code.CLOSES_UNRELATED),
        "sent closes that look like another symbol's, and no split explains them; they are ignored",
    ),
    (of(Code.DIFFICULTY_UNKNOWN, source="mempool.space"), "mempool.space has no difficulty data"),
    (of(Code.NO_PAST_DIFFICULTIES), "no source has past difficulty data"),
    (
        of(Code.DIFFICULTY_START_UNKNOWN, source="mempool.space"),
        "mempool.space has no date for the last difficulty change",
    ),
    (
        of(Code.DIFFICULTY_FROM_ONE_SOURCE, source="mempool.space", at=AT),
        "difficulty from mempool.space only, updated Mar 2, 10:04 AM ET",
    ),
    (
        of(Code.FIGURES_AHEAD_OF_CLOCK, source="mempool.space", at=AT),
        "the latest mempool.space data is from Mar 2, 10:04 AM ET, ahead of this machine's clock",
    ),
    (
        of(Code.FIGURES_TOO_OLD, source="mempool.space", at=AT),
        "the latest mempool.space data is from Mar 2, 10:04 AM ET",
    ),
    (
        of(Code.RETARGET_OVERDUE, source="mempool.space", due_at=AT),
        "a difficulty change was due Mar 2, 10:04 AM ET, and mempool.space doesn't have it yet",
    ),
    (
        of(Code.FIGURES_UNKNOWN, source="mempool.space", figures=["difficulty", "hashrate"]),
        "mempool.space reports no difficulty and no hash rate",
    ),
    (of(Code.NO_WITNESS, source="mempool.space"), "no second source confirms mempool.space"),
    (
        of(
            Code.HASHRATES_IMPOSSIBLE,
            high=of(Code.HASHRATE_OF, source="A"),
            low=of(Code.HASHRATE_OF, source="B"),
            ratio=1060.6,
        ),
        "the hash rate from A is 1,060.6 times the hash rate from B",
    ),
    (
        of(
            Code.HASHRATES_IMPOSSIBLE,
            high=of(Code.HASHRATE_OF, source="A"),
            low=of(Code.HASHRATE_OF, source="B"),
            ratio=1e7,
        ),
        "the hash rate from A is over a million times the hash rate from B",
    ),
    (
        of(
            Code.HASHRATES_APART,
            high=of(Code.HASHRATE_OF, source="A"),
            low=of(Code.HASHRATE_OF, source="B"),
            ratio=1.41,
        ),
        "the hash rate from A is 41% above the hash rate from B",
    ),
    (of(Code.HASHRATE_OF, source="A"), "the hash rate from A"),
    (of(Code.IMPLIED_HASHRATE_OF, source="A"), "the hash rate implied by A's difficulty"),
    (
        of(Code.RULE_WORSENED, rule="1d 8pp", growth=0.042, peak=0.124, unit="pp"),
        "`1d 8pp` at +12.4 pp, 4.2 pp further than last reported",
    ),
    (
        of(Code.RULE_REPEATED, rule="1d 8pp repeat 1h", value=0.09, peak=-0.124, unit="pp"),
        "`1d 8pp repeat 1h` at +9.0 pp, peak −12.4 pp",
    ),
    (
        of(Code.RULE_CORRECTED, rule="1d 8pp", corrections=[CORRECTION, CORRECTION], peak=0.084, unit="pp"),
        (
            "`1d 8pp` at the Mar 2, 2026 close was +8.4 pp, now +7.99999 pp; at the Mar 2, 2026 close was "
            "+8.4 pp, now +7.99999 pp; the peak is now +8.4 pp"
        ),
    ),
    (
        of(Code.RULE_CORRECTED, rule="1d 8pp", corrections=[CORRECTION], peak=None, unit="pp"),
        "`1d 8pp` at the Mar 2, 2026 close was +8.4 pp, now +7.99999 pp",
    ),
    (
        of(Code.RULE_RETRACTED, rule="1d 8pp", corrections=[CORRECTION], threshold=0.08, unit="pp"),
        "`1d 8pp` at the Mar 2, 2026 close was +8.4 pp, now +7.99999 pp, which doesn't cross the 8 pp threshold",
    ),
    (CORRECTION, "at the Mar 2, 2026 close was +8.4 pp, now +7.99999 pp"),
    (of(Code.CORRECTION, session=None, old=0.084, new=-0.081, threshold=0.08, unit="pp"), "was +8.4 pp, now −8.1 pp"),
    (of(Code.RULE_GONE), "removed the rule"),
    (of(Code.RULE_ADDED, rule="1d 8pp"), "added the rule `1d 8pp`"),
    (of(Code.RULES_STARTED, rules="1d 8pp, 5d 15pp"), "started alerts with the rules 1d 8pp, 5d 15pp"),
    (of(Code.RULE_EDITED, before="1d 8pp", after="1d 10pp"), "changed `1d 8pp` to `1d 10pp`"),
    (of(Code.RULE_PAUSED, rule="1d 8pp"), "paused `1d 8pp`"),
    (of(Code.RULES_MOVED, before="WGMI", after="WGMX"), "moved the rules on WGMI to WGMX"),
    (of(Code.RULE_RESUMED, rule="1d 8pp"), "resumed `1d 8pp`"),
    (of(Code.RULE_REMOVED, rule="1d 8pp"), "removed the rule `1d 8pp`"),
    (of(Code.RULE_MANAGED, rule="1d 8pp"), "manages `1d 8pp` from now on"),
    (of(Code.RULE_RELEASED, rule="1d 8pp"), "no longer manages `1d 8pp`"),
    (of(Code.SETTING_CHANGED, setting="remind 15m"), "changed a channel setting: `remind 15m`"),
    (of(Code.ALERT_SNOOZED_LONG, number=3, until=AT), "snoozed alert #3 until Mar 2, 10:04 AM ET"),
    (of(Code.ALERT_RESOLVED_EARLY, number=3), "resolved alert #3, which hadn't cleared"),
    (
        of(Code.ESCALATION_ENDED, channel="C9"),
        (
            "escalation to <#C9> was turned off, as that channel no longer accepts escalations; to escalate "
            "elsewhere, type `/minerpulse channel escalate 30m @WHO` (or `#CHANNEL`)"
        ),
    ),
    (of(Code.SEEN), "someone acknowledged it"),
    (of(Code.UNSEEN), "someone removed the acknowledgement"),
    (of(Code.SNOOZED), "someone snoozed it"),
    (of(Code.UNSNOOZED), "someone ended the snooze"),
    (of(Code.DRILL_STARTED), "a test was started"),
    (of(Code.DRILL_ENDED), "the test is over"),
    (of(Code.ENDED_BY_HAND, note=""), "resolved manually"),
    (of(Code.ENDED_BY_HAND, note="earnings"), "resolved manually: earnings"),
    (of(Code.UNACKNOWLEDGED, waited_s=5400), "firing for 1 h 30 min, not acknowledged"),
    (of(Code.APP_REMOVED), "MinerPulse was removed from the channel"),
    (
        of(Code.SETTINGS_RESET),
        "all settings but zone, thread and editors were reset, because MinerPulse was removed from the channel",
    ),
    (
        of(Code.SILENT, causes=["mute", "quiet_hours", "market_closed", "market_open"]),
        "muted, quiet hours, muted while the market is closed, muted while the market is open",
    ),
    (of(Code.MUTE_ENDED), "mute ended early"),
    (
        of(Code.TOO_FEW_PRICES_FOR_BETAS, needed=94.5, lookback=126, session="2026-03-02"),
        "fewer than 94 of the 126 sessions up to Mar 2, 2026 have all three prices",
    ),
    (
        of(Code.FACTORS_MOVED_ALIKE, crypto="BTC", proxy="SMH", lookback=126, session="2026-03-02"),
        "BTC and SMH moved alike in the 126 sessions up to Mar 2, 2026, so their effects can't be separated",
    ),
    (of(Code.NO_TRADE_NEAR, symbol="SMH", at=AT), "SMH has no trade within five minutes of 10:04 AM ET"),
    (of(Code.NO_INTRADAY_BETAS), "no price for the prior close, or too little history for betas"),
    (of(Code.WEIGHTS_TOO_OLD, as_of="2026-01-02", age_days=59), "the newest weights are from Jan 2, 2026, 59 days old"),
    (
        of(Code.WEIGHTS_BACKFILLED, first="2026-01-02"),
        "weights before Jan 2, 2026 are estimated from later weights and prices",
    ),
    (of(Code.HOLDINGS_PARTIAL), "only the ten largest holdings are known"),
    (of(Code.WEIGHTS_INCOMPLETE, as_of="2026-01-02", total=0.876), "the weights of Jan 2, 2026 add up to 88%"),
    (of(Code.HOLDINGS_WITHOUT_PRICES, tickers=["IREN", "CIFR"]), "no prices for IREN, CIFR"),
    (
        of(Code.GAP_HAS_NO_PAST, metric="gap"),
        "a gap exists only while the market is closed, so it can't be backtested",
    ),
    (of(Code.PRICES_NOT_FETCHED, pair="MARA/BTC"), "prices for MARA/BTC are fetched after the rule is added"),
    (of(Code.NO_PRICES_YET, symbol="BTC", problems=[]), "No BTC prices yet. The sources have none."),
    (
        of(Code.NO_PRICES_YET, symbol="BTC", problems=["Kraken (BTC): away", NO_QUOTE]),
        "No BTC prices yet. Kraken (BTC): away; no BTC quote.",
    ),
    (
        of(Code.NO_PRICES_YET, symbol="WGMI", problems=["Yahoo (WGMI): away", "Kraken (BTC): away", NO_QUOTE]),
        "No WGMI prices yet. Yahoo (WGMI), Kraken (BTC): away; no BTC quote.",
    ),
    (
        of(Code.NO_PAIR_PRICES, pair="MARA/BTC", problems=["Yahoo (MARA): away", NO_QUOTE]),
        "No prices for MARA/BTC. Yahoo (MARA): away; no BTC quote.",
    ),
    (of(Code.NO_PAIR_PRICES, pair="MARA/BTC", problems=[]), "No prices for MARA/BTC. The sources have none."),
    (
        of(Code.NO_PROXY_CLOSES, symbol="SMH", problems=[]),
        "No closes of SMH, the AI proxy. The sources don't know this symbol.",
    ),
    (
        of(Code.NO_PROXY_CLOSES, symbol="SMH", problems=["Yahoo (SMH): away"]),
        "No closes of SMH, the AI proxy. Yahoo (SMH): away.",
    ),
    (
        of(Code.NO_COMPLETE_SESSION, first="2026-03-02", last="2026-03-06", reason=NO_QUOTE),
        "No session from Mar 2, 2026 to Mar 6, 2026 has both prices: no BTC quote.",
    ),
    (of(Code.CANNOT_EXPLAIN, window="5d", reason=NO_QUOTE), "The 5-session return can't be explained: no BTC quote."),
    (
        of(Code.CANNOT_ATTRIBUTE, window="5d", reason=NO_QUOTE),
        "The 5-session return can't be attributed: no BTC quote.",
    ),
    (of(Code.CHANNEL_LEFT), "MinerPulse was removed from the channel."),
    (of(Code.MESSAGE_UNREADABLE), "the stored message can't be read"),
]


def uses() -> Iterator[tuple[str, str, set[str]]]:
    """Return where the program builds a reason, with the code's name and the names of the parameters."""
    for path in sorted(path for package in ("services", "handlers", "bot") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Reason.of":
                code = ast.unparse(node.args[0]).removeprefix("Code.")
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                yield where, code, {keyword.arg or "**" for keyword in node.keywords}


def parameters_of(code: Code) -> set[str]:
    written = SENTENCES[code]
    if isinstance(written, str):
        return {name for _text, name, _spec, _conversion in Formatter().parse(written) if name}
    parameters = inspect.signature(written).parameters.values()
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}
    return {parameter.name for parameter in parameters}


@pytest.mark.parametrize(("reason", "expected"), EXAMPLES, ids=[reason.code.value for reason, _expected in EXAMPLES])
def test_a_reason_has_its_sentence(reason: Reason, expected: str) -> None:
    assert expected == sentence(reason).replace(NBSP, " ")
    assert sentence(reason) == sentence(Reason.from_json(reason.to_json()))


def test_times_are_date_tokens_in_slack_and_new_york_times_elsewhere() -> None:
    last_trade = of(Code.LAST_TRADE_AT, symbol="BTC", at=AT)
    token = "<!date^1772463845^{date_short_pretty} at {time}|Mar 2, 10:04 AM ET>"

    assert "the last BTC trade is from Mar 2, 10:04 AM ET" == sentence(last_trade)
    assert f"the last BTC trade is from {token}" == in_slack(last_trade)


def test_every_code_has_one_sentence_and_an_example() -> None:
    assert set(Code) == set(SENTENCES) == {reason.code for reason, _expected in EXAMPLES}
    assert len(set(SENTENCES.values())) == len(SENTENCES)


def test_every_use_of_a_code_has_the_parameters_of_its_sentence() -> None:
    expected = {(where, code): parameters_of(Code[code]) for where, code, _given in uses()}

    assert expected == {(where, code): given for where, code, given in uses()}


def test_every_code_is_used() -> None:
    lists = {Code.ALL_OF.name, Code.EACH_OF.name}  # of `all_of` and `each_of`

    assert {code.name for code in Code} == {code for _where, code, _given in uses()} | lists


def test_words_are_shown_as_they_are() -> None:
    assert ("8.3pp is past 8pp", ["away", "no BTC quote"]) == (
        sentence("8.3pp is past 8pp"),
        sentences(["away", NO_QUOTE, "away"]),
    )


def test_reasons_in_a_document_become_sentences() -> None:
    document = {"trust": {"reasons": (NO_QUOTE, "away")}, "reason": NO_QUOTE.to_json(), "code": "A1"}

    assert {"trust": {"reasons": ["no BTC quote", "away"]}, "reason": "no BTC quote", "code": "A1"} == rendered(
        document
    )


def test_a_reason_with_unknown_parameters_is_shown_by_its_code() -> None:
    assert "no_quote" == sentence(Reason(Code.NO_QUOTE))
    assert "no_quote(at=1, symbol=BTC)" == sentence(Reason.of(Code.NO_QUOTE, symbol="BTC", at=1))
    assert "rule_cleared(rule=1d 8pp)" == sentence(Reason.of(Code.RULE_CLEARED, rule="1d 8pp"))


def test_reasons_that_read_alike_are_listed_once_in_documents() -> None:
    apart = [
        Reason.of(Code.TRADES_APART, low_source="Yahoo", high_source="Alpaca", apart=apart)
        for apart in (0.0072, 0.00724)
    ]

    assert 1 == len(sentences(apart))
    assert {"reasons": sentences(apart)} == rendered({"reasons": [reason.to_json() for reason in apart]})
