"""Noises: how much of what each rule of a channel told was noise, over the channel's last alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.domain.noise import noise_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.domain.episode import Channel
    from services.domain.noise import Noise
    from services.ports import DeskStore, Watch

LOOKED_AT = 200  # of a channel's alerts, the newest


async def noises(store: DeskStore, channel: Channel, watches: Sequence[Watch]) -> dict[int, Noise]:
    """Count for each rule, by its number; one of whose alerts nobody has judged any is left out."""
    alerts, votes = await store.history(channel, LOOKED_AT), await store.votes(channel)
    found = {watch.id: noise_of(watch.id, watch.rule, alerts, votes) for watch in watches}
    return {number: noise for number, noise in found.items() if noise.judged}
