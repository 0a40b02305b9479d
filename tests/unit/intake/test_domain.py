"""Codes as people write them, and what is historic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain import Step, View, canonical_code, is_historic
from shared.clock import CROCKFORD

CODE = "K7QM2XW9TB4HZPD8RVNC3F6YJE"


@pytest.mark.parametrize(
    "written",
    [CODE, CODE.lower(), "K7QM2 XW9TB 4HZPD 8RVNC 3F6YJE", "k7qm2-xw9tb-4hzpd-8rvnc-3f6yje", f"\t{CODE}\n"],
)
def test_a_code_is_read_as_people_write_it(written: str) -> None:
    assert canonical_code(written) == CODE


def test_letters_that_crockford_leaves_out_are_the_digits_they_look_like() -> None:
    assert canonical_code("oOiIlL" + CODE[6:]) == "001111" + CODE[6:]


@pytest.mark.parametrize(
    "written",
    ["", CODE[:-1], CODE + "0", "U" + CODE[1:], "ſ" + CODE[1:], "ß" + CODE[2:], "Ｋ" + CODE[1:], "ı" + CODE[1:]],
)
def test_what_cannot_be_a_code_is_none(written: str) -> None:
    assert canonical_code(written) is None


@given(st.text(max_size=60))
def test_whatever_is_written_is_a_code_or_none(written: str) -> None:
    code = canonical_code(written)
    assert code is None or (len(code) == 26 and set(code) <= set(CROCKFORD))


@pytest.mark.parametrize(
    ("age", "live", "historic"),
    [
        (timedelta(hours=24), False, False),
        (timedelta(hours=24, milliseconds=1), False, True),
        (timedelta(days=900), True, False),
        (timedelta(minutes=-5), False, False),
    ],
)
def test_what_is_older_than_a_day_is_historic_unless_live(age: timedelta, live: bool, historic: bool) -> None:
    now = datetime(2026, 9, 7, tzinfo=UTC)
    assert is_historic(now - age, now, live) is historic


def test_a_step_that_changes_neither_state_nor_department_is_none() -> None:
    at = datetime(2026, 9, 7, tzinfo=UTC)
    view = View("n", "routed").at_step(Step(at, "routed", "water"))
    assert view.at_step(Step(at + timedelta(1), "routed", "water")) is view
    assert len(view.at_step(Step(at, "routed", "lighting")).timeline) == 2
    assert len(view.at_step(Step(at, "accepted", "water")).timeline) == 2
