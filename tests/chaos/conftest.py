"""A running town."""

from __future__ import annotations

from tests.journeys.conftest import town

__all__ = ["town"]
