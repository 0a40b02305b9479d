"""A burst, then a steady trickle, for each sender on its own."""

from __future__ import annotations

import pytest

from shared.errors import Misconfigured, TooMany
from shared.http.access import Principal
from shared.http.rates import KEYS, Rate, neighbourhood
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def spend(rate: Rate, client: str, principal: Principal | None = None) -> int:
    """Submit until it is refused."""
    for count in range(10_000):
        try:
            rate.admit(client, principal)
        except TooMany:
            return count
    return 10_000


@pytest.mark.row("A31")
def test_a_burst_passes_and_then_one_a_second(clock: ManualClock) -> None:
    rate = Rate("60/1", clock)
    assert spend(rate, "192.0.2.1") == 60
    clock.advance(1)
    assert spend(rate, "192.0.2.1") == 1
    clock.advance(10)
    assert spend(rate, "192.0.2.1") == 10
    clock.advance(3600)
    assert spend(rate, "192.0.2.1") == 60


@pytest.mark.row("A31")
def test_the_refusal_says_how_long_to_wait_and_that_is_enough(clock: ManualClock) -> None:
    rate = Rate("2/0.1", clock)
    spend(rate, "192.0.2.1")
    with pytest.raises(TooMany) as refused:
        rate.admit("192.0.2.1")
    wait = int(refused.value.headers["Retry-After"])
    assert wait == 10
    clock.advance(wait)
    rate.admit("192.0.2.1")


@pytest.mark.row("A31")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:0:ffff::1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("nonsense", "other nonsense", True),
    ],
)
def test_an_address_is_an_ipv4_address_or_an_ipv6_64(one: str, other: str, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same


def test_keys_have_their_own_budget_and_operators_none(clock: ManualClock) -> None:
    rate = Rate("60/1", clock)
    key, operator = Principal("key", "k", "integrator"), Principal("operator", "operator", "operations")
    assert spend(rate, "192.0.2.1") == 60
    assert spend(rate, "192.0.2.1", key) == 60 * KEYS
    assert spend(rate, "192.0.2.1", operator) == 10_000


def test_off_means_no_limit(clock: ManualClock) -> None:
    assert spend(Rate("off", clock), "192.0.2.1") == 10_000


@pytest.mark.parametrize("setting", ["", "60", "60/0", "0/1", "-1/1", "a/b", "nan/1", "60/inf", "60/1/1"])
def test_a_setting_that_is_no_rate_stops_the_start(clock: ManualClock, setting: str) -> None:
    with pytest.raises(Misconfigured):
        Rate(setting, clock)


def test_memory_is_bounded(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.rates.REMEMBERED", 10)
    rate = Rate("60/1", clock)
    for number in range(100):
        rate.admit(f"192.0.2.{number}")
    assert len(rate._due) == 10
