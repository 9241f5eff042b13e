"""The vault: tokens as they are kept, which without a key are worth nothing."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.core.errors import StoreError

LOST = "A stored token opens with none of the keys in MINERPULSE_TOKEN_KEYS; put back the key that it was sealed with."


class TokenCipher:
    """Seals with the first of its keys, and opens with any of them. Keys are Fernet's: 32 bytes in base64."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = MultiFernet([Fernet(key) for key in keys])

    def seal(self, text: str) -> str:
        """Encrypt a text."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Decrypt a text. Raises StoreError where no key opens it."""
        try:
            return self._keys.decrypt(sealed).decode()
        except InvalidToken as error:
            raise StoreError(LOST) from error

    def reseal(self, sealed: str) -> str:
        """Seal with the first key what any of them opens. Raises StoreError."""
        return self.seal(self.open(sealed))


def new_key() -> str:
    """Draw a key."""
    return Fernet.generate_key().decode()
