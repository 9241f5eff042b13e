from datetime import UTC, datetime

from services.core.installation import Installation

ACME = Installation(
    home="T1",
    enterprise="E1",
    name="Acme",
    bot_token="xoxb-hush",
    bot_user="UBOT",
    scopes=("commands",),
    installed_by="U1",
    installed_at=datetime(2026, 11, 17, tzinfo=UTC),
    refresh_token="xoxe-hush",
)


def test_the_repr_of_an_installation_has_no_tokens() -> None:
    assert "hush" not in repr(ACME)
