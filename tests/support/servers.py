"""The real servers that tests marked `distributed` talk to: those that the environment names."""

from __future__ import annotations

import os

import pytest


def kafka_url() -> str:
    return _named("HUIYIN_KAFKA_URL")


def mongo_url() -> str:
    return _named("HUIYIN_MONGO_URL")


def _named(variable: str) -> str:
    url = os.environ.get(variable)
    if url is None:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain(f'{variable} is not set: eval "$(make -s servers-up)"')
    return str(url)
