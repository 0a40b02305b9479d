"""How alike two cases are."""

from __future__ import annotations

from math import isclose

from services.routing.domain.likeness import COMMON, likeness, metres, weights_of
from shared.events.intake import Point


def test_the_rarer_a_word_the_more_it_weighs_and_common_or_unknown_ones_weigh_nothing() -> None:
    weights = weights_of({"rare": 1, "known": 30, "common": COMMON, "nowhere": 0})
    assert weights["rare"] > weights["known"] > 0
    assert set(weights) == {"rare", "known"}


def test_all_words_make_it_one_and_no_words_nothing() -> None:
    weights = weights_of({"a": 3, "b": 40, "c": 500})
    assert likeness(weights, ["a", "b", "c", "d"]) == 1.0
    assert likeness(weights, []) == 0.0
    assert likeness({}, ["a"]) == 0.0


def test_one_word_alone_makes_nothing_alike() -> None:
    assert likeness(weights_of({"a": 1, "b": 900}), ["a"]) == 0.0


def test_rare_words_say_more_than_common_ones() -> None:
    weights = weights_of({"a": 2, "b": 2, "c": 800, "d": 800})
    assert likeness(weights, ["a", "b"]) > 0.9 > 0.1 > likeness(weights, ["c", "d"])


def test_distance_is_measured_along_the_earth() -> None:
    here, north = Point(lat=33.871, lon=110.318), Point(lat=33.881, lon=110.318)
    assert metres(here, here) == 0.0
    assert isclose(metres(here, north), 1112, rel_tol=0.01)
    assert isclose(metres(Point(lat=0, lon=179.999), Point(lat=0, lon=-179.999)), 222, rel_tol=0.01)
