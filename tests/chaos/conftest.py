"""A running town, in one process over files: the disk is what goes wrong here."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import town
from tests.support.town import Town

__all__ = ["town"]


@pytest.fixture
def founding() -> type[Town]:
    """How the town is made."""
    return Town
