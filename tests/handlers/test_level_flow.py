"""An alert on a level, from the rule to Slack."""

from datetime import timedelta

from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, CLOSE, Harness
from tests.fakes.slack import FakeSlack, Person


async def test_an_alert_on_beta_is_posted_with_the_correlation_and_r2_behind_it(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await person.types("rule add 60d beta 4.5 below")
    await harness.tick(CLOSE + timedelta(minutes=20))
    await outbox.deliver(harness.clock.now())

    (alert,) = await harness.commands.history(CHANNEL)
    fit = alert.lead.measurement.latest_correlation
    assert fit is not None
    (posted,) = [one["shown"] for one in slack.arguments_of("chat.postMessage") if one["text"].startswith("Firing: ")]
    assert f"Correlation {fit.value:.2f} (90% interval" in posted.replace("−", "-")
    assert f"R² {fit.r2:.2f}" in posted
