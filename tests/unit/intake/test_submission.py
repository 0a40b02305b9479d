"""What may be submitted, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.intake.channels.submission import NewFeedback, idempotency_key
from shared.errors import Invalid
from shared.http.strict import fields_of


def refused(body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        NewFeedback.model_validate({"text": "x"} | body)
    return [(error.location, error.code) for error in fields_of(caught.value.errors(include_url=False))]


@pytest.mark.parametrize(
    ("body", "location", "code"),
    [
        ({"text": ""}, "/text", "empty"),
        ({"text": "\u200b \u202e"}, "/text", "empty"),
        ({"text": None}, "/text", "string_type"),
        ({"text": "x" * 20_001}, "/text", "string_too_long"),
        ({"text": "𠮷" * 17_000}, "/text", "too_long"),
        ({"text": "a\x00"}, "/text", "unreadable"),
        ({"kind": "rumour"}, "/kind", "literal_error"),
        ({"language": "fr"}, "/language", "literal_error"),
        ({"category": "Street Lamp"}, "/category", "string_pattern_mismatch"),
        ({"location": {"lat": 91.0, "lon": 0.0}}, "/location/lat", "less_than_equal"),
        ({"location": {"lat": 30.0}}, "/location", "lat_and_lon"),
        ({"location": {"lon": 110.0}}, "/location", "lat_and_lon"),
        ({"location": {"lat": "30", "lon": 1.0}}, "/location/lat", "float_type"),
        ({"location": {"address": "a\nb"}}, "/location/address", "one_line"),
        ({"contact": {"email": "li.example.org"}}, "/contact/email", "not_an_email"),
        ({"contact": {"email": "a@b@c.example"}}, "/contact/email", "not_an_email"),
        ({"contact": {"email": "a@example.org\nBcc: b@example.org"}}, "/contact/email", "one_line"),
        ({"contact": {"email": "a b@example.org"}}, "/contact/email", "not_an_email"),
        ({"contact": {"email": '"><img>@example.org'}}, "/contact/email", "not_an_email"),
        ({"contact": {"phone": "139"}}, "/contact/phone", "not_a_phone"),
        ({"contact": {"phone": "phone me"}}, "/contact/phone", "not_a_phone"),
        ({"contact": {"name": "a\r\nb"}}, "/contact/name", "one_line"),
        ({"contact": {"preferred": "pigeon"}}, "/contact/preferred", "literal_error"),
        ({"anonymous": "yes"}, "/anonymous", "bool_type"),
        ({"answers": {"a": 5}}, "/answers/a", "string_type"),
        ({"answers": {f"a{n}": "x" for n in range(41)}}, "/answers", "too_long"),
        ({"number": "x"}, "/number", "extra_forbidden"),
    ],
)
def test_what_cannot_be_accepted_names_its_field_and_why(body: dict[str, Any], location: str, code: str) -> None:
    assert (location, code) in refused(body)


@pytest.mark.parametrize("email", ["a@example.org", "李@例子.中国", "a+b.c@mail.example.co.uk", "o'neill@example.org"])
def test_addresses_in_use_are_accepted(email: str) -> None:
    assert NewFeedback.model_validate({"text": "x", "contact": {"email": email}}).contact


@pytest.mark.parametrize("phone", ["13900001234", "+86 139 0000 1234", "010-12345678", "(0719) 1234567"])
def test_numbers_as_people_write_them_are_accepted(phone: str) -> None:
    body = {"text": "x", "contact": {"phone": phone}}
    if phone.startswith("("):
        assert refused(body) == [("/contact/phone", "not_a_phone")]
    else:
        assert NewFeedback.model_validate(body).contact


def test_a_point_is_kept_to_three_decimals() -> None:
    location = NewFeedback.model_validate({"text": "x", "location": {"lat": 31.98765, "lon": -0.12345}}).location
    assert location
    point = location.point()
    assert point
    assert (point.lat, point.lon) == (31.988, -0.123)


def test_what_makes_two_submissions_the_same_is_what_they_say() -> None:
    one = NewFeedback.model_validate({"text": " x ", "anonymous": False, "kind": None}).submission("api", "k", "anyone")
    two = NewFeedback.model_validate({"text": "x"}).submission("web", "k", "import")
    assert one.canonical == two.canonical


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "ü", "\x7f"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(Invalid):
        idempotency_key(key)


def test_no_key_is_no_key() -> None:
    assert idempotency_key(None) is None
