"""What a handler is: a pure function from what is kept and what happened to what is kept next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from shared.events.envelope import Event
from shared.store.documents import Decision

E = TypeVar("E", bound=Event)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know besides its document and the event.

    `now`: the moment of the batch, UTC. `knows`: the service's immutable knowledge (organisation, classifier), the one
    current when the batch was read. `words`: the opened text of each `Sealed` field the subscription asked for, or
    None where its key is destroyed or the field is absent.
    """

    now: datetime
    knows: Any = None
    words: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """What is kept of a case next, and what its event adds to the figures: cell → how much."""

    value: T
    adds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """event → effect. `opens` names the Sealed fields to be opened before the handler is called; `counts`: the handler
    takes no context and answers with `Counted`."""

    event: type[Event]
    handler: Callable[..., Any]
    opens: tuple[str, ...] = ()
    counts: bool = False


def on(
    event: type[E], handler: Callable[[Any, E, Context], Decision[Any] | None], opens: str | tuple[str, ...] = ()
) -> Subscription:
    """Subscribe `handler` to `event`: called with the document of the event's key (its value, or None), the event and
    the context; returns the decision, or None to leave the value as it is."""
    return Subscription(event, handler, (opens,) if isinstance(opens, str) else opens)


def counting(event: type[E], handler: Callable[[Any, E], Counted[Any] | None]) -> Subscription:
    """Subscribe a handler that counts: called with the document of the event's key (its value, or None) and the event;
    returns what is kept next and what is added to the figures, or None to leave both as they are."""
    return Subscription(event, handler, counts=True)
