from __future__ import annotations

import pytest

from shared.delivery.breaker import Breaker

pytestmark = pytest.mark.row("F23")


def test_ten_failures_in_a_row_are_borne_and_eleven_are_not() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.fail()
    assert not breaker.open
    breaker.fail()
    assert breaker.open


def test_one_in_a_hundred_is_borne_and_more_is_not() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker.take(99)
        breaker.fail()
        assert not breaker.open
    breaker = Breaker()
    for _ in range(11):
        breaker.take(80)
        breaker.fail()
    assert breaker.open
