"""Digests under which intake finds what it must not store readable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.vault.vault import Vault


def code_hash(vault: Vault, code: str) -> str:
    """What a code is looked up by."""
    return vault.digest("code", code.encode())


def key_hash(vault: Vault, scope: str, key: str) -> str:
    """What an idempotency key is looked up by; scopes never share keys."""
    return vault.digest("idempotency", f"{scope}\0{key}".encode())


def fingerprint(vault: Vault, body: Mapping[str, Any]) -> str:
    """What makes two bodies the same one: the parsed values, in any order."""
    told = {name: value for name, value in body.items() if value is not None}
    return vault.digest("fingerprint", json.dumps(told, sort_keys=True).encode())
