"""What is true of feedback, and of a case as its submitter sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.clock import CROCKFORD, Moment
from shared.events.envelope import Sealed

MESSAGES = 200
"""The most messages a citizen may add to one case."""

STEPS = 400
"""The most events one feedback may emit; beyond it something is wrong, and the citizen is told to use another way."""

WORDS = 2_000_000
"""Bytes of all that a citizen may add to one case: two hundred pages. Every service keeps a case in one document."""

HISTORIC = timedelta(hours=24)
"""An imported feedback older than this is historic: no deliveries, no timers."""

_CONFUSED = str.maketrans("OIL", "011")
_CODE = re.compile(f"[{CROCKFORD}]{{26}}", re.ASCII)


def canonical_code(written: str) -> str | None:
    """A code as people write it (lower case, spaces, dashes, O for 0, I and L for 1), or None if it cannot be one."""
    if not written.isascii():  # upper() would make S of ſ and SS of ß
        return None
    code = re.sub(r"[\s-]", "", written).upper().translate(_CONFUSED)
    return code if _CODE.fullmatch(code) else None


def is_historic(received_at: datetime, now: datetime, live: bool) -> bool:
    """Whether an imported feedback only fills the figures."""
    return not live and now - received_at > HISTORIC


@dataclass(frozen=True, slots=True)
class Message:
    """What the citizen added."""

    id: str
    at: Moment
    message: Sealed


@dataclass(frozen=True, slots=True)
class Repeat:
    """A call with an idempotency key that has been answered: the same body gets the same answer."""

    fingerprint: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said. `code_hash` finds it; the code itself is sealed in `contact`. `anonymous`: the department
    is not to know who it was. `written`: the bytes of what was added so far."""

    number: str
    code_hash: str
    channel: str
    language: str
    received_at: Moment
    text: Sealed
    contact: Sealed
    kind: str | None = None
    category: str | None = None
    place: Sealed | None = None
    key_hash: str | None = None
    fingerprint: str | None = None
    anonymous: bool = False
    messages: tuple[Message, ...] = ()
    repeats: Mapping[str, Repeat] = field(default_factory=dict)
    written: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline. Where a department was chosen, `why` is how, `words` those of the citizen's that were
    weighed, and `deadline` by when it is to answer. `by`: who took it on."""

    at: Moment
    state: str
    department: str | None
    why: str | None = None
    words: tuple[str, ...] = ()
    deadline: Moment | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What the body said to the citizen, and who said it."""

    at: Moment
    text: Sealed
    by: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A case as its submitter sees it: no notes, no reasons of staff. `worker`: who works on it."""

    number: str
    state: str
    department: str | None = None
    category: str | None = None
    kind: str | None = None
    deadline: Moment | None = None
    worker: str | None = None
    timeline: tuple[Step, ...] = ()
    messages: tuple[Told, ...] = ()

    def at_step(self, step: Step) -> View:
        """The view with a step, if it is one: the state or the department changed."""
        last = self.timeline[-1] if self.timeline else None
        if last and (last.state, last.department) == (step.state, step.department):
            return self
        return replace(self, timeline=(*self.timeline, step))


@dataclass(frozen=True, slots=True)
class Look:
    """One look at personal data: who saw which fields of which case, in which role, and why. No personal data itself.

    `who` is a work number or the id of a key, as `kind` says.
    """

    number: str
    who: str
    kind: str
    role: str
    fields: tuple[str, ...]
    reason: str
    at: Moment
