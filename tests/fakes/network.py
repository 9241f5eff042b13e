"""Network history of three retargets around the halving of April 2024."""

import numpy as np

from services.market.network_history import NetworkHistory

PAST = NetworkHistory(
    source="mempool.space",
    days=np.array(["2024-04-10", "2024-04-20", "2024-04-30"], dtype="datetime64[D]"),
    hashrates=np.array([620e18, 640e18, 600e18]),
    retargets_at=np.array(["2024-03-28T00:00:00", "2024-04-10T16:00:00", "2024-04-24T12:00:00"], dtype="datetime64[s]"),
    difficulties=np.array([83.13e12, 86.39e12, 88.10e12]),
    heights=np.array([836_640, 838_656, 840_672]),
)
