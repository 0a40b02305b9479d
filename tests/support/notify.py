"""Notify with its real store, vault and Maildir, fed with events by hand, under a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
import mailbox
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from services.notify.app import SERVICE
from services.notify.channels.channel import Channel, Stationery
from services.notify.channels.digests import DigestSender
from services.notify.channels.letters import Letters
from services.notify.channels.maildir import MaildirChannel
from services.notify.channels.sender import Sender
from services.notify.domain import Delivery, Knowledge
from services.notify.settings import NotifySettings
from services.notify.store import Deliveries, Digests
from shared.clock import SystemIds
from shared.delivery.organisation import KEY, Announced, OrganisationCopy
from shared.delivery.subscription import Context
from shared.errors import Unavailable
from shared.events.envelope import Actor, Event, Sealed, enclose
from shared.events.intake import FeedbackReceived
from shared.events.registry import read
from shared.events.routing import (
    CaseAnswered,
    CaseEvent,
    CaseRouted,
    Category,
    Department,
    Explanation,
    Label,
    Organisation,
)
from shared.store.documents import Decision
from shared.store.port import Delete, DocumentStore
from shared.store.sqlite import SqliteStore
from shared.vault.vault import COLLECTIONS as VAULT_COLLECTIONS
from shared.vault.vault import Keys, Vault
from tests.support.clock import ManualClock

NOBODY = Actor(kind="system")
WHY = Explanation(method="keywords", version="1", confidence=1.0, bar=0.5)

TOWN = Organisation(
    name=Label(zh="云溪镇", en="Yunxi Town"),
    time_zone="Asia/Shanghai",
    reception="reception",
    departments=(
        Department(id="reception", label=Label(zh="总台", en="Reception"), email="reception@town.test"),
        Department(id="works", label=Label(zh="市政", en="Works"), email="works@town.test"),
        Department(id="lighting", parent="works", label=Label(zh="路灯所", en="Lighting"), email="light@town.test"),
        Department(id="silent", label=Label(zh="无信箱", en="Without address")),
    ),
    categories=(Category(id="street-lamp", label=Label(zh="路灯", en="Street lamp"), department="lighting"),),
)


class Killed(BaseException):
    """The process died here."""


@dataclass
class Case:
    """A citizen's case as a test knows it."""

    id: str
    number: str
    keys: Keys
    language: str
    sequences: dict[str, int] = field(default_factory=dict)

    def sealed(self, words: str) -> Sealed:
        return self.keys.seal("reply", "text", words)


class Office:
    """One process of notify. `restarted` gives the next one over the same files."""

    def __init__(
        self,
        store: DocumentStore,
        vault_store: DocumentStore,
        town: Vault,
        clock: ManualClock,
        data: Path,
        digest: int,
    ) -> None:
        self.store, self.vault_store, self.clock, self.data, self.digest = store, vault_store, clock, data, digest
        self.ids = SystemIds(clock)
        self.town = town
        self.vault = town.held_by(SERVICE.opens)
        self.stationery = Stationery("noreply@town.test", "云溪镇", "town.test", clock)
        self.deliveries, self.digests = Deliveries(store, clock), Digests(store, clock)
        self.organisation = OrganisationCopy(store, clock)
        self.sender = self.sending(MaildirChannel(data / "mail", self.stationery, clock))

    def sending(self, channel: Channel) -> Sender:
        """The sender with this way out; from now on it is the office's."""
        letters = Letters("https://town.test", "en")
        retries = NotifySettings().retries
        digests = DigestSender(self.deliveries, self.digests, letters, channel, self.clock, retries)
        self.sender = Sender(
            self.deliveries, digests, letters, channel, self.vault, self.organisation, self.clock, retries
        )
        return self.sender

    async def erase(self, case: Case) -> None:
        """Destroy the case's keys, and let every copy of them in memory grow old."""
        (kept,) = (await self.vault_store.get("keys", [case.keys.name])).values()
        await self.vault_store.write([Delete("keys", kept.id, kept.revision)])
        self.clock.advance(61)

    def restarted(self, store: DocumentStore | None = None) -> Office:
        return Office(store or self.store, self.vault_store, self.town, self.clock, self.data, self.digest)

    async def announce(self, town: Organisation = TOWN) -> None:
        await self.organisation.documents.change(KEY, lambda _: Decision(Announced("1", town)))

    async def receive(self, email: str | None = "wang@home.test", language: str = "en", **more: Any) -> Case:
        """A citizen's feedback arrives."""
        keys = await self.town.draw()
        number = self.ids.number(self.clock.now().date())
        case = Case(self.ids.document(), number, keys, language)
        contact = {"name": "Wang Fang", "email": email, "code": "0" * 26} | more.pop("contact", {})
        event = FeedbackReceived(
            at=self.clock.now(), actor=Actor(kind="citizen"), number=number, channel="web", language=language,
            text=keys.seal("text", "text", "the lamp is dark"),
            contact=keys.seal("contact", "contact", json.dumps(contact)),
            contact_kinds=("email",) if email else (), received_at=self.clock.now(), **more,
        )  # fmt: skip
        await self.happen(case, event)
        return case

    async def route(self, case: Case, department: str = "lighting", **more: Any) -> None:
        await self.happen(case, self.event(CaseRouted, case, department=department, explanation=WHY, **more))

    async def answer(self, case: Case, words: str) -> None:
        await self.happen(case, self.event(CaseAnswered, case, text=case.sealed(words)))

    def event(self, shape: type[CaseEvent], case: Case, **more: Any) -> CaseEvent:
        given: dict[str, Any] = {
            "at": self.clock.now(), "actor": NOBODY, "number": case.number, "channel": "web", "category": "street-lamp",
            "department": "lighting", "language": case.language, "received_at": self.clock.now(), "from": "received",
            "to": "routed",
        }  # fmt: skip
        return shape.model_validate(given | more)

    async def happen(self, case: Case, event: Event) -> None:
        """Fold an event into the case's deliveries, as the pipeline does."""
        sequence = case.sequences[event.source] = case.sequences.get(event.source, 0) + 1
        known = read(
            enclose(event, subject=case.id, sequence=sequence, key=case.id, time=self.clock.now(), traceparent=None)
        )
        (subscription,) = (one for one in SERVICE.subscriptions if one.event is type(event))
        knows = Knowledge(self.digest, frozenset(d.id for d in TOWN.departments if d.email))
        context = Context(self.clock.now(), knows)
        await self.deliveries.change(
            case.id, lambda kept: subscription.handler(kept.value if kept else None, known, context)
        )

    async def settle(self) -> None:
        """Let the sender do what is to be done now."""
        for _ in range(50):
            if not await self.sender.round():
                return
        raise AssertionError("the sender never comes to rest")

    async def endure(self) -> None:
        """Like `settle` with a store that fails now and then: time passes while the sender waits for it."""
        for _ in range(50):
            work = asyncio.ensure_future(self.sender.round())
            while not work.done():
                await asyncio.sleep(0.001)
                if self.clock.awaited:
                    self.clock.advance(1)
            try:
                busy = work.result()
            except Unavailable:
                busy = True
            if not busy:
                return
        raise AssertionError("the sender never comes to rest")

    async def of(self, case: Case) -> tuple[Delivery, ...]:
        kept = await self.deliveries.get(case.id)
        return kept.value.deliveries if kept else ()

    async def emitted(self) -> list[str]:
        """`type delivery` of every event in the outbox."""
        pending = await self.store.pending(10_000)
        return [f"{envelope.type} {json.loads(envelope.value)['delivery']}" for envelope in pending]

    def mails(self) -> list[EmailMessage]:
        """What lies in the Maildir."""
        if not (self.data / "mail").exists():
            return []
        box = mailbox.Maildir(self.data / "mail", create=False)
        try:
            return [read_mail(box.get_bytes(key)) for key in box.keys()]  # noqa: SIM118 (a Maildir iterates over mails)
        finally:
            box.close()


def read_mail(content: bytes) -> EmailMessage:
    mail = message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def plain(mail: EmailMessage) -> str:
    """The words of a mail for who reads text."""
    body = mail.get_body(("plain",))
    assert body is not None
    words: str = body.get_content()
    return words


class BreakingStore:
    """A store whose n-th write raises, before or after it takes effect: by default the process dies there."""

    def __init__(self, store: DocumentStore, at: int, after: bool, error: type[BaseException] = Killed) -> None:
        self._store, self._left, self._after, self._error = store, at, after, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, changes: Sequence[Any]) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise self._error
        outcomes = await self._store.write(changes)
        if self._left == 0:
            raise self._error
        return outcomes


@asynccontextmanager
async def opened(tmp_path: Path, digest: int = 300) -> AsyncIterator[Office]:
    """An office that knows its town."""
    clock = ManualClock()
    store = await SqliteStore.open(tmp_path / "notify.db", SERVICE.collections, clock)
    keys = await SqliteStore.open(tmp_path / "vault.db", VAULT_COLLECTIONS, clock)
    vault = await Vault.open(keys, tmp_path / "keys" / "vault.key", SystemIds(clock), clock)
    try:
        office = Office(store, keys, vault, clock, tmp_path, digest)
        await office.announce()
        yield office
    finally:
        await vault.close()
        await store.close()
        await keys.close()
