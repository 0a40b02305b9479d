"""The three keys of one case, and what they close and open."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import HuiyinError
from shared.events.envelope import Sealed
from shared.vault.key_file import derive

PARTS = ("text", "reply", "contact")
"""What a case's words are sealed under: the citizen's words, what the body says to the citizen, contact and code."""

NONCE = 12
"""Bytes of a nonce. Random ones are safe: a case's key seals a few values, and a wrapping key far below 2^32."""

SIZE = 32
"""Bytes of a key."""


class Unopenable(HuiyinError):
    """The part is not held here, or the sealed words belong elsewhere or were changed. Never says what they are."""


def key_name(sealed: Sealed) -> str:
    """The name of the case's keys: `<name>` of `<name>/text`."""
    return sealed.key.rpartition("/")[0]


FOR_URLS = bytes.maketrans(b"+/", b"-_")


def encoded(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return b2a_base64(data, newline=False).translate(FOR_URLS, b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """The inverse of `encoded`; raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Wrapping:
    """Wraps the keys of cases under keys derived from the key file, one for each part."""

    def __init__(self, kek: bytes) -> None:
        self._ciphers = {part: AESGCM(derive(kek, f"wrap/{part}")) for part in PARTS}

    def wrap(self, name: str, part: str, key: bytes, nonce: bytes) -> str:
        return encoded(nonce + self._ciphers[part].encrypt(nonce, key, f"{name}/{part}".encode()))

    def unwrap(self, name: str, part: str, wrapped: str) -> bytes:
        """Raises `Unopenable` for a key that is not this part of this name."""
        try:
            data = decoded(wrapped)
            return self._ciphers[part].decrypt(data[:NONCE], data[NONCE:], f"{name}/{part}".encode())
        except (InvalidTag, ValueError):
            raise Unopenable(f"the {part} key of {name} was changed") from None


class Ring:
    """The keys of one name, each unwrapped when it is first asked for; shared by the services of a process."""

    __slots__ = ("_keys", "_wrapped", "_wrapping", "name")

    def __init__(self, name: str, wrapping: Wrapping, wrapped: Mapping[str, str], keys: dict[str, bytes]) -> None:
        self.name = name
        self._wrapping = wrapping
        self._wrapped = wrapped
        self._keys = keys

    def key(self, part: str) -> bytes:
        key = self._keys.get(part)
        if key is None:
            key = self._keys[part] = self._wrapping.unwrap(self.name, part, self._wrapped[part])
        return key


class Keys:
    """A case's keys as one service holds them."""

    __slots__ = ("_ciphers", "_parts", "_ring", "_token", "name")

    def __init__(self, ring: Ring, parts: frozenset[str], token: Callable[[int], bytes]) -> None:
        self.name = ring.name
        self._ring = ring
        self._parts = parts
        self._token = token
        self._ciphers: dict[str, AESGCM] = {}

    def seal(self, part: str, field: str, words: str) -> Sealed:
        """`words` as only holders of `part` can read them, and only as this case's `field`. Raises `Unopenable`."""
        key = f"{self.name}/{part}"
        nonce = self._token(NONCE)
        ct = self._cipher(part).encrypt(nonce, words.encode(), f"{key}|{field}".encode())
        return Sealed(key=key, nonce=encoded(nonce), ct=encoded(ct))

    def open(self, sealed: Sealed, field: str) -> str:
        """The words. Raises `Unopenable`."""
        name, _, part = sealed.key.rpartition("/")
        if name != self.name:
            raise Unopenable("these words are sealed under another case's key")
        cipher = self._cipher(part)
        try:
            words = cipher.decrypt(decoded(sealed.nonce), decoded(sealed.ct), f"{sealed.key}|{field}".encode())
            return words.decode()
        except (InvalidTag, ValueError):
            raise Unopenable(f"the sealed words were changed, or are not a {field}") from None

    def _cipher(self, part: str) -> AESGCM:
        cipher = self._ciphers.get(part)
        if cipher is None:
            if part not in self._parts:
                raise Unopenable("the key of this part is not held here")
            cipher = self._ciphers[part] = AESGCM(self._ring.key(part))
        return cipher
