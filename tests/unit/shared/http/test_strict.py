"""Strict JSON: one reading, or none."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from shared.errors import Invalid, Malformed
from shared.http.strict import fields_of, strict_json

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_every_honest_value_is_read_as_it_was_meant(value: Any, escaped: bool) -> None:
    assert strict_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.row("A6")
@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}', b"Infinity", b"[-Infinity]", b"1e999", b"-1e999", b"9223372036854775808", b"1" * 5000,
        b'{"a": 1, "a": 2}', b'{"x": {"a": 1, "\\u0061": 2}}', b'{"a": 1,}', b"{'a': 1}", b'"\x01"', b'"a\x00b"',
        b"", b" ", b"{", b'{"a" 1}', b'{"a": 1} x', b"\xef\xbb\xbf{}", b'"\xff"', b'"\xed\xa0\x80"', "{}".encode("utf-16"),
    ],
)  # fmt: skip
def test_what_two_parsers_could_read_differently_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json(body)


@pytest.mark.row("A4")
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 33 + b"1" + b"}" * 33, b"[" * 33 + b"]" * 33])
def test_deep_nesting_is_malformed_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json(body)


@pytest.mark.row("A4")
def test_thirty_two_levels_are_fine_and_brackets_in_strings_do_not_count() -> None:
    assert strict_json(b"[" * 32 + b"]" * 32)
    text = "[{" * 1000 + '\\"' + "}]"
    assert strict_json(json.dumps([text] * 3).encode()) == [text] * 3


@pytest.mark.row("A4")
@pytest.mark.parametrize(
    "body", [b"[" * 40 + b'"' + b'\\"' * 120_000, b"[]" * 120_000, b'"' + b"\\" * 250_000, b'"' * 250_000]
)
def test_no_quarter_megabyte_takes_long_to_refuse(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(Malformed):
        strict_json(body)
    assert time.process_time() - started < 1.0


@pytest.mark.row("A5")
@pytest.mark.parametrize(
    ("body", "location"),
    [
        (rb'{"text": "a\ud800b"}', "/text"),
        (rb'{"contact": {"name": "\u0000"}}', "/contact/name"),
        (rb'{"tags": ["x", "\udc00"]}', "/tags/1"),
        (rb'{"\ud800": 1}', "/*"),
        (rb'"\u0000"', ""),
    ],
)
def test_unreadable_strings_are_refused_by_field(body: bytes, location: str) -> None:
    with pytest.raises(Invalid) as refused:
        strict_json(body)
    assert [(error.location, error.code) for error in refused.value.errors] == [(location, "unreadable")]


def test_escaped_pairs_of_surrogates_are_ordinary_characters() -> None:
    assert strict_json(rb'"\ud83d\ude42"') == "🙂"


class _Contact(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: int
    answers: dict[str, int] = {}

    @field_validator("email")
    @classmethod
    def _one_word(cls, value: int) -> int:
        raise ValueError("too_long" if value == 1 else f"no {value} please")


@pytest.mark.row("A7")
def test_the_fields_of_an_error_hold_locations_and_codes_and_nothing_that_was_sent() -> None:
    def refused(value: Any) -> list[tuple[str, str]]:
        with pytest.raises(ValidationError) as error:
            _Contact.model_validate(value)
        return [(field.location, field.code) for field in fields_of(error.value.errors())]

    assert refused({}) == [("/email", "missing")]
    assert refused({"email": "13900000000"}) == [("/email", "value_error")]
    assert refused({"email": 1}) == [("/email", "too_long")]
    assert refused({"email": "x", "13900000000": 1, "colour": 2}) == [
        ("/email", "int_parsing"),
        ("/*", "extra_forbidden"),
        ("/colour", "extra_forbidden"),
    ]
    assert refused({"email": 1, "answers": {"王芳": "x"}})[-1] == ("/answers/*", "int_parsing")
