"""What a service is: a name, what it keeps, what it reacts to, what it emits, and how it is put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

from shared.bus.port import EventBus
from shared.clock import Clock, Ids
from shared.delivery.subscription import Context, Subscription, on
from shared.events.envelope import Event
from shared.http.access import Access
from shared.http.edge import Door
from shared.http.problems import Teller
from shared.settings import PlatformSettings
from shared.store.documents import Decision, Documents
from shared.store.port import Collection, DocumentStore
from shared.vault.vault import Vault

__all__ = ["Context", "Platform", "Service", "Subscription", "Timer", "Wiring", "on"]


@dataclass(frozen=True)
class Platform:
    """What the runtime gives a service. The store is the service's own; the vault opens what the service may open."""

    settings: PlatformSettings
    clock: Clock
    ids: Ids
    store: DocumentStore
    vault: Vault
    access: Access


@dataclass(frozen=True)
class Timer:
    """What happens when a document's `due` comes: a pure decision, written under the guard, so it fires once."""

    documents: Documents[Any]
    fire: Callable[[Any, Context], Decision[Any] | None]


@dataclass(frozen=True)
class Wiring:
    """A service put together.

    `documents` maps what a message key names (`Event.about`) to the collection its events are folded into.
    `knows` gives the immutable knowledge current at the start of a batch. `jobs` run until they are cancelled, and so do
    `followers`, which read the log without consuming it.
    `start` runs before the consumers, `ready` says why the service is not ready (None: it is).
    `stray` tells a person that nothing is at an address.
    """

    routers: Sequence[APIRouter]
    documents: Mapping[str, Documents[Any]]
    knows: Callable[[], Any] = lambda: None
    doors: Mapping[tuple[str, str], Door] = field(default_factory=dict)
    timers: Sequence[Timer] = ()
    jobs: Sequence[Callable[[], Awaitable[None]]] = ()
    followers: Sequence[Callable[[EventBus], Awaitable[None]]] = ()
    start: Callable[[], Awaitable[None]] | None = None
    ready: Callable[[], Awaitable[str | None]] | None = None
    stray: Teller | None = None


@dataclass(frozen=True)
class Service:
    """One of the four. Everything else that has a name is derived from `name`.

    `port` is its public one where each service is a process of its own. `paths` are what the paths it answers begin with,
    in whole segments: gateways send it those. `needs_log`: it can do nothing while the log is
    away; the others start and take work without it.
    """

    name: str
    purpose: str
    collections: Sequence[Collection]
    subscriptions: Sequence[Subscription]
    emits: Sequence[type[Event]]
    build: Callable[[Platform], Wiring]
    port: int
    paths: tuple[str, ...]
    opens: frozenset[str] = frozenset()
    needs_log: bool = True

    @property
    def source(self) -> str:
        """The CloudEvents source of its events."""
        return f"/{self.name}"
