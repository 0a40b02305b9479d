"""How alike two cases are."""

from __future__ import annotations

from math import isclose

import pytest

from services.routing.app import load_organisation
from services.routing.domain.likeness import likeness, metres, weights_of
from services.routing.domain.stop_words import STOP_WORDS
from services.routing.domain.terms import findable
from services.routing.settings import SAMPLE
from shared.events.intake import Point
from shared.text import words as split


def test_the_rarer_a_word_the_more_it_weighs_and_most_what_nobody_has() -> None:
    weights = weights_of({"new": 0, "rare": 1, "known": 30, "half": 150, "all": 300}, 300)
    assert list(weights) == sorted(weights, key=lambda word: -weights[word])
    assert weights["all"] > 0
    assert weights["half"] < weights["rare"] / 5


def test_few_cases_tell_common_and_rare_words_apart_as_many_do() -> None:
    few, many = weights_of({"rare": 1, "common": 12}, 30), weights_of({"rare": 1, "common": 400}, 1_000)
    assert few["common"] / few["rare"] < 0.4
    assert many["common"] / many["rare"] < 0.4


def test_all_words_make_it_one_and_no_words_nothing() -> None:
    weights = weights_of({"a": 3, "b": 40, "c": 500}, 1_000)
    assert isclose(likeness(weights, ["a", "b", "c", "d"], usual=4), 1.0)
    assert likeness(weights, [], usual=4) == 0.0
    assert likeness({}, ["a"], usual=4) == 0.0


def test_one_word_alone_makes_alike_only_what_is_of_the_same_category() -> None:
    weights = weights_of({"a": 1, "b": 900}, 1_000)
    assert likeness(weights, ["a"], usual=1) == 0.0
    assert likeness(weights, ["a"], usual=1, same=True) > 0.0
    assert likeness(weights, ["c"], usual=1, same=True) == 0.0


def test_rare_words_say_more_than_frequent_ones() -> None:
    weights = weights_of({"a": 2, "b": 2, "c": 800, "d": 800}, 1_000)
    assert likeness(weights, ["a", "b"], usual=2) > 0.9 > 0.1 > likeness(weights, ["c", "d"], usual=2)


def test_the_same_words_say_more_in_a_short_case_than_in_a_long_one() -> None:
    weights = weights_of({"a": 2, "b": 20}, 1_000)
    short, long = (likeness(weights, ["a", "b", *map(str, range(more))], usual=20) for more in (3, 60))
    assert short > 2 * long


def test_distance_is_measured_along_the_earth() -> None:
    here, north = Point(lat=33.871, lon=110.318), Point(lat=33.881, lon=110.318)
    assert metres(here, here) == 0.0
    assert isclose(metres(here, north), 1112, rel_tol=0.01)
    assert isclose(metres(Point(lat=0, lon=179.999), Point(lat=0, lon=-179.999)), 222, rel_tol=0.01)


@pytest.mark.parametrize("words", ["我们这里没有", "请问现在可以吗", "There has been no time for this"])
def test_words_that_hold_a_sentence_together_are_stop_words(words: str) -> None:
    kept = [word for word in findable(split(words)) if word not in STOP_WORDS]
    assert len(kept) <= len(split(words)) / 2


def test_what_cases_are_about_is_no_stop_word() -> None:
    organisation = load_organisation(SAMPLE)
    subjects = {word for each in organisation.categories.values() for said in each.keywords.values() for word in said}
    assert "路灯" in subjects
    assert {word for word in subjects if word.lower() in STOP_WORDS} == set()
