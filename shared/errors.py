"""Every error Huiyin raises on purpose, and what it means to the caller.

HuiyinError
├── Unavailable        the outside world did not answer in time; nothing is known to be lost, try again
│   ├── Unsettled      a write was done or not; repeating it under the same ids tells
│   └── Damaged        what is stored is not what was written; only a backup helps
├── Misconfigured      the process cannot start; the message is one line for the operator
├── Undecodable        a record of the log cannot be read as an event
├── UnknownType        a record is an event of a type this version does not know; it is counted and skipped
├── NotDeclared        the code asks a store for something its collections do not declare (a bug)
└── Problem            what a caller of the HTTP interface is told, as RFC 9457 problem+json
    ├── Invalid        422: fields that cannot be accepted, by location and code, never by content
    ├── Malformed      400: not readable as strict JSON, or a parameter given twice
    ├── NotAuthorised  401: no valid key or session
    ├── Forbidden      403: the role does not allow it
    ├── NotFound       404: unknown, not yours, or a wrong code: always the same answer
    ├── IllegalMove    409: the state does not allow it; the legal moves are named
    ├── InUse          409: others work with it now
    ├── Stale          412: the case changed since it was read; what changed is named
    ├── TooLarge       413: more bytes than the route accepts
    ├── NeedsVersion   428: a call that changes a case without If-Match
    ├── TooMany        429: over the rate; retry_after in seconds
    └── Busy           503: not now; retry_after in seconds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class HuiyinError(Exception):
    """Base of all errors raised on purpose."""


class Unavailable(HuiyinError):
    """A store, the log or a provider did not answer, or the disk is full. The work may have been done."""


class Unsettled(Unavailable):
    """The disk failed in the middle of a write: it was done or not. Repeating it under the same ids is safe, and tells."""


class Damaged(Unavailable):
    """A stored row is not what was written. `str(error)` names file and row; it is never served."""


class Misconfigured(HuiyinError):
    """The process cannot start. `str(error)` is one line that says what to do."""


class Undecodable(HuiyinError):
    """A record cannot be read as an event. The message never contains the record's content."""


class UnknownType(HuiyinError):
    """A well-formed record of a type or version this code does not know."""


class NotDeclared(HuiyinError):
    """A collection, an index or an event was used that its owner does not declare."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be accepted: where (`/contact/email`) and why, as a code. Never the value."""

    location: str
    code: str


class Problem(HuiyinError):
    """An answer to the caller. `type` is `urn:huiyin:problem:<slug>`; `extra` is merged into the body."""

    status: int = 500
    slug: str = "internal"
    title: str = "Something went wrong"

    def __init__(self, detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.extra: Mapping[str, Any] = extra
        self.headers: dict[str, str] = {}


class Invalid(Problem):
    status, slug, title = 422, "invalid", "Some fields cannot be accepted"

    def __init__(self, errors: Sequence[FieldError], detail: str | None = None) -> None:
        super().__init__(detail, errors=[{"location": e.location, "code": e.code} for e in errors])
        self.errors = tuple(errors)


class Malformed(Problem):
    status, slug, title = 400, "malformed", "The request cannot be read"


class NotAuthorised(Problem):
    status, slug, title = 401, "not-authorised", "A valid key or session is needed"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.headers["WWW-Authenticate"] = "Bearer"


class Forbidden(Problem):
    status, slug, title = 403, "forbidden", "This role may not do that"


class NotFound(Problem):
    status, slug, title = 404, "not-found", "Not found"


class IllegalMove(Problem):
    status, slug, title = 409, "illegal-move", "The case's state does not allow that"

    def __init__(self, state: str, legal: Sequence[str]) -> None:
        super().__init__(None, state=state, legal=list(legal))


class InUse(Problem):
    status, slug, title = 409, "in-use", "Others work with it now"


class Stale(Problem):
    status, slug, title = 412, "stale", "The case has changed since it was read"


class TooLarge(Problem):
    status, slug, title = 413, "too-large", "The request is too large"


class NeedsVersion(Problem):
    status, slug, title = 428, "needs-version", "If-Match with the case's version is needed"


class TooMany(Problem):
    status, slug, title = 429, "too-many", "Please wait a moment and try again"

    def __init__(self, retry_after: int, detail: str | None = None) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(retry_after)


class Busy(Problem):
    status, slug, title = 503, "busy", "Please wait a moment and try again"

    def __init__(self, retry_after: int = 1, detail: str | None = None) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(retry_after)
