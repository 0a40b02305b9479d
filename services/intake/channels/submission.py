"""What a submission looks like as JSON, whatever way it comes in."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from services.intake.handlers.reception import Submission
from shared.errors import FieldError, Invalid
from shared.events.intake import Kind, Point
from shared.http.access import Principal
from shared.text import clean

CHARACTERS = 20_000
BYTES = 64 * 1024
KEY = re.compile(r"[\x20-\x7e]{1,255}")
EMAIL = re.compile(
    r"[^\s@<>(),;:\"\\\x00-\x20\x7f]{1,64}@[^\s@<>(),;:\"\\\x00-\x20\x7f]{1,190}\.[^\s@<>(),;:.\"\\]{2,63}"
)
PHONE = re.compile(r"\+?[0-9][0-9 ()/-]{3,30}", re.ASCII)


def _cleaned(text: str) -> str:
    text = clean(text)
    if not text:
        raise PydanticCustomError("empty", "must not be empty")
    if len(text) * 4 > BYTES and len(text.encode()) > BYTES:
        raise PydanticCustomError("too_long", "is too long")
    return text


def _line(text: str) -> str:
    text = _cleaned(text)
    if "\n" in text or "\t" in text:
        raise PydanticCustomError("one_line", "must be one line")
    return text


def _shaped(pattern: re.Pattern[str], code: str) -> Any:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise PydanticCustomError(code, "does not look like one")
        return text

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(max_length=CHARACTERS), AfterValidator(_cleaned)]
Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_line)]
Email = Annotated[str, StringConstraints(max_length=254), AfterValidator(_line), _shaped(EMAIL, "not_an_email")]
Phone = Annotated[str, StringConstraints(max_length=40), AfterValidator(_line), _shaped(PHONE, "not_a_phone")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9-]*$")]

Channel = Literal["web", "api", "phone", "email", "sms", "wechat", "telegram", "open311", "webhook", "import"]
"""Every way in that has a name; `import` where an importer does not say which it was."""


class Body(BaseModel):
    """Nothing but the declared fields, of exactly the declared types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Location(Body):
    """WGS-84, or the place in words, or both. Points are kept to three decimals, about 100 m."""

    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    address: Line | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise PydanticCustomError("lat_and_lon", "a point needs both")
        return self

    def point(self) -> Point | None:
        if self.lat is None or self.lon is None:
            return None
        return Point(lat=round(self.lat, 3), lon=round(self.lon, 3))


class Contact(Body):
    """How to tell the person. Only used for this case."""

    name: Line | None = None
    phone: Phone | None = None
    email: Email | None = None
    preferred: Literal["email", "phone"] | None = None


class NewFeedback(Body):
    """What a person says. Only the words are required."""

    text: Text
    kind: Kind | None = None
    category: Id | None = None
    language: Literal["zh", "en"] | None = None
    location: Location | None = None
    contact: Contact | None = None
    anonymous: bool = False
    answers: Annotated[dict[Id, Line], Field(max_length=40)] | None = None

    def submission(self, channel: str, key: str | None, scope: str) -> Submission:
        return Submission(
            text=self.text,
            channel=channel,
            canonical={} if key is None else self.model_dump(mode="json", exclude_none=True, exclude={"live", "key"}),
            kind=self.kind,
            category=self.category,
            language=self.language,
            place=self.location.address if self.location else None,
            point=self.location.point() if self.location else None,
            contact=self.contact.model_dump(exclude_none=True) if self.contact else None,
            anonymous=self.anonymous,
            answers=self.answers,
            key=key,
            scope=scope,
        )


class Words(Body):
    """A message."""

    text: Text


class Verdict(Body):
    """The submitter's verdict. Leaving `solved` out says nothing about it."""

    solved: bool | None = None
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None = None
    contacted: bool | None = None
    comment: Text | None = None


class Reason(Body):
    reason: Text | None = None


def idempotency_key(key: str | None) -> str | None:
    """An `Idempotency-Key` of 1–255 printable ASCII characters, or None. Raises `Invalid`."""
    if key is not None and not KEY.fullmatch(key):
        raise Invalid([FieldError("/header/Idempotency-Key", "1_to_255_printable")])
    return key


def scope_of(principal: Principal) -> str:
    """Whose idempotency keys these are."""
    return "import" if principal.kind == "operator" else f"key:{principal.id}"
