"""What is true about deliveries: who is to be told what, how one attempt follows another, and what a digest is. Pure.

One attempt: pending → sending → sent, or failed (tried again on a schedule), or dead. A delivery whose attempt was cut
off is sent again where repeating does no harm, else it becomes unknown and a person decides.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.clock import Moment, rfc3339
from shared.events.envelope import Sealed

Kind = Literal["acknowledgement", "question", "answer", "closing", "new-case", "overdue"]
Role = Literal["citizen", "department"]
State = Literal["pending", "sending", "sent", "failed", "unknown", "dead"]
Language = Literal["zh", "en"]

LEASE = timedelta(seconds=30)
"""How long a claimed delivery belongs to who claimed it. No attempt lasts longer."""

AT_LEAST_ONCE: frozenset[Kind] = frozenset({"acknowledgement", "question", "answer", "closing", "new-case", "overdue"})
"""Kinds that may reach a person twice, under one Message-ID, rather than never."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel has taken it."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """Not now; perhaps later. `reason` is a code, never content."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Never, as things are: no valid address, refused for good, key destroyed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Untried:
    """Its turn did not come within the lease."""


Outcome = Sent | Failed | Refused | Untried


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the sending of one thing stands. `attempts` counts those begun; `reason` says why it is not sent."""

    state: State = "pending"
    attempts: int = 0
    next_at: Moment | None = None
    lease_until: Moment | None = None
    submitted_at: Moment | None = None
    reason: str | None = None

    @property
    def due(self) -> datetime | None:
        """When somebody has to look at it: the next attempt, or the end of the running one's lease."""
        return self.lease_until if self.state == "sending" else self.next_at

    def is_due(self, now: datetime) -> bool:
        return self.due is not None and self.due <= now

    def claimed(self, now: datetime, repeatable: bool, retries: Sequence[int]) -> Progress:
        """The next attempt begins. One that was cut off is repeated only if `repeatable` and the schedule allows."""
        if self.state == "sending" and (not repeatable or self.attempts > len(retries)):
            return Progress("unknown", self.attempts, reason="interrupted")
        return Progress("sending", self.attempts + 1, lease_until=now + LEASE)

    def settled(self, lease: datetime, outcome: Outcome, now: datetime, retries: Sequence[int]) -> Progress | None:
        """What the attempt that holds `lease` came to; None if that attempt is settled or was taken over."""
        if self.state != "sending" or self.lease_until != lease:
            return None
        match outcome:
            case Sent(at):
                return Progress("sent", self.attempts, submitted_at=at)
            case Untried():
                return Progress("pending", self.attempts - 1, next_at=now)
            case Failed(reason) if self.attempts <= len(retries):
                pause = timedelta(seconds=retries[self.attempts - 1])
                return Progress("failed", self.attempts, next_at=now + pause, reason=reason)
            case Failed(reason) | Refused(reason):
                return Progress("dead", self.attempts, reason=reason)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one recipient on one channel because of one event. Its id names the mail everywhere.

    `category` and `deadline` are what a department is told of the case. Once `digest` names the digest that carries
    it, the digest decides when it is sent and `progress` follows. `traceparent` is its event's, where spans are recorded.
    """

    id: str
    cause: str
    kind: Kind
    recipient_role: Role
    channel: str
    progress: Progress
    department: str | None = None
    text: Sealed | None = None
    category: str | None = None
    deadline: Moment | None = None
    digest: str | None = None
    traceparent: str | None = None

    @property
    def due(self) -> datetime | None:
        return None if self.digest else self.progress.due

    @property
    def ungathered(self) -> bool:
        """Whether it waits to be put into a digest."""
        return self.recipient_role == "department" and self.digest is None and self.progress.state == "pending"

    @property
    def replayable(self) -> bool:
        """Whether a person may order it again. What failed within a digest comes again with the digest."""
        state = self.progress.state
        return state in ("unknown", "dead") or (state == "failed" and self.digest is None)

    def replayed(self, now: datetime) -> Delivery:
        """As new, on a person's order."""
        return replace(self, digest=None, progress=Progress(next_at=now))


@dataclass(frozen=True, slots=True)
class CaseDeliveries:
    """Everyone who was or is to be told about one case. `reachable`: the citizen left an e-mail address."""

    number: str
    language: str
    contact: Sealed
    reachable: bool
    received_at: Moment
    historic: bool = False
    department: str | None = None
    deliveries: tuple[Delivery, ...] = ()

    @property
    def due(self) -> datetime | None:
        return min((due for delivery in self.deliveries if (due := delivery.due)), default=None)

    def delivery(self, id: str) -> Delivery | None:
        return next((delivery for delivery in self.deliveries if delivery.id == id), None)

    def adding(self, new: Delivery) -> CaseDeliveries:
        """With one more delivery; the same event, recipient and channel never make two."""
        return self if self.delivery(new.id) else replace(self, deliveries=(*self.deliveries, new))

    def changing(self, *changed: Delivery) -> CaseDeliveries:
        by_id = {delivery.id: delivery for delivery in changed}
        return replace(self, deliveries=tuple(by_id.get(delivery.id, delivery) for delivery in self.deliveries))


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivery in a digest, with what is said of it."""

    case: str
    delivery: str
    kind: Kind
    number: str
    category: str | None
    deadline: Moment | None


@dataclass(frozen=True, slots=True)
class Digest:
    """A fixed list of deliveries to one department, sent as one mail. `window` is when its deliveries came due.

    `untold_since` is set from the moment an attempt was settled until every delivery in the list knows of it.
    """

    department: str
    window: Moment
    entries: tuple[Entry, ...]
    progress: Progress
    untold_since: Moment | None = None

    @property
    def due(self) -> datetime | None:
        return self.untold_since or self.progress.due

    def carries(self, delivery: Delivery, id: str) -> bool:
        """Whether this digest, kept as `id`, decides about `delivery`, which is in its list."""
        return delivery.digest == id or (delivery.ungathered and delivery.progress.next_at == self.window)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What handlers know besides the case: the digest window in seconds, and the departments with an address
    (None before the organisation was announced)."""

    digest: int
    with_address: frozenset[str] | None


def delivery_id(case: str, event: str, recipient: str, channel: str) -> str:
    """The same for every repetition; letters, digits and `-` only. The case's id in front finds its document."""
    return f"{case}-{_hash(f'{event} {recipient} {channel}')[:16]}"


def case_of(delivery: str) -> str:
    """The case a delivery's id belongs to."""
    return delivery.rpartition("-")[0]


def digest_id(department: str, window: datetime, part: int) -> str:
    return f"{department}:{rfc3339(window)}:{part}"


def mail_id(digest: str) -> str:
    """A digest's id as the name of a file and of a Message-ID."""
    return f"digest-{_hash(digest)}"


def _hash(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def window_end(now: datetime, seconds: int) -> datetime:
    """When what comes in `now` is sent to a department: the end of the running window, or now if there are none."""
    if seconds == 0:
        return now
    return datetime.fromtimestamp((int(now.timestamp()) // seconds + 1) * seconds, UTC)


def mail_language(language: str) -> Language:
    """The language of our mails that is nearest to a case's."""
    return "zh" if language.lower().startswith("zh") else "en"


ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def valid_address(address: object) -> bool:
    """Whether it is one plain ASCII mailbox: no spaces, line breaks, quotes, lists or display names."""
    return isinstance(address, str) and len(address) <= 254 and ADDRESS.fullmatch(address) is not None


def within(department: str | None, roots: frozenset[str], parents: Mapping[str, str | None]) -> bool:
    """Whether a department lies in one of the subtrees."""
    while department is not None:
        if department in roots:
            return True
        department = parents.get(department)
    return False
