"""A process that renews the expiring tokens of an app once: `python -m … SLACK_URL DATABASE_URL TOKEN_KEY`."""

import asyncio
import logging
import sys

from bot.app import build
from tests.bot.oauth.conftest import oauth_settings


async def main(slack_url: str, database_url: str, token_key: str) -> None:
    async with build(oauth_settings(slack_url, database_url, token_key)) as app:
        assert app.oauth is not None
        await app.oauth.rotation.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(main(*sys.argv[1:]))
