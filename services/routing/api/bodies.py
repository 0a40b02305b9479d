"""What staff may send."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from shared.text import clean

BYTES = 64 * 1024
"""The most bytes of a text."""


def _cleaned(text: str) -> str:
    text = clean(text)
    if not text:
        raise ValueError("empty")
    if len(text.encode()) > BYTES:
        raise ValueError("too-long")
    return text


Text = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_cleaned)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    """What staff send: nothing but the declared fields, of exactly the declared types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Body):
    """Moves that need no words."""


class Words(Body):
    """A question, an answer or a note."""

    text: Text


class Closure(Body):
    text: Text | None = None


class Return(Body):
    reason_code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    reason: Text | None = None


class Reassignment(Body):
    department: Id
    category: Id | None = None
    reason: Text | None = None
