"""Durations in buckets, and percentiles of them."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.domain.flow import bucket, middle, percentile, step, steps
from tests.support.figures import close

SECONDS = st.one_of(
    st.integers(0, 10**12).map(lambda millis: millis / 1000),
    st.floats(0, 1e9),
    st.integers(0, 700).map(lambda power: 1.03**power),
)


@given(durations=st.lists(SECONDS, min_size=1, max_size=300), share=st.sampled_from([(1, 2), (9, 10), (99, 100)]))
def test_a_percentile_is_within_one_point_six_percent_of_the_nearest_rank(
    durations: list[float], share: tuple[int, int]
) -> None:
    rank = -(-len(durations) * share[0] // share[1])
    exact = sorted(durations)[rank - 1]
    assert close(percentile(Counter(map(bucket, durations)), share[0] / share[1]), exact)


@given(first=SECONDS, second=SECONDS)
def test_a_longer_duration_is_never_in_an_earlier_bucket(first: float, second: float) -> None:
    short, long = sorted((first, second))
    assert 0 <= bucket(short) <= bucket(long)
    assert middle(bucket(short)) <= middle(bucket(long))


def test_up_to_a_second_is_told_as_nothing() -> None:
    assert [middle(bucket(seconds)) for seconds in (0.0, 0.5, 1.0)] == [0.0, 0.0, 0.0]
    assert middle(bucket(1.001)) > 1


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.5) == 0.0


@given(
    taken=st.lists(
        st.tuples(st.sampled_from(["received", "awaiting-citizen"]), st.sampled_from(["answered", "closed"]), SECONDS)
    )
)
def test_steps_are_read_as_they_were_told(taken: list[tuple[str, str, float]]) -> None:
    since = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    whole = [(start, end, float(round(seconds))) for start, end, seconds in taken]
    cells = [(step(start, end, since, since + timedelta(seconds=seconds)), 1) for start, end, seconds in whole]
    found = steps(cells)
    for start, end in {(start, end) for start, end, _ in whole}:
        own = [seconds for *ends, seconds in whole if ends == [start, end]]
        assert found[start, end] == Counter(map(bucket, own))
    assert math.fsum(sum(histogram.values()) for histogram in found.values()) == len(taken)
