"""Encryption of stored tokens."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.core.errors import DatabaseUnavailableError

NO_MATCHING_KEY = (
    "A stored token opens with none of the keys in MINERPULSE_TOKEN_KEYS; put back the key that it was sealed with."
)


class TokenCipher:
    """Encrypts with the first of its keys and decrypts with any. Keys are Fernet keys: 32 bytes in base64."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, text: str) -> str:
        """Return a text encrypted."""
        return self._keys.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Return a text decrypted. Raises DatabaseUnavailableError if no key matches."""
        try:
            return self._keys.decrypt(encrypted).decode()
        except InvalidToken as error:
            raise DatabaseUnavailableError(NO_MATCHING_KEY) from error

    def reencrypt(self, encrypted: str) -> str:
        """Encrypt with the first key what any of them decrypts. Raises DatabaseUnavailableError."""
        return self.encrypt(self.decrypt(encrypted))


def generate_key() -> str:
    """Return a new random key."""
    return Fernet.generate_key().decode()
