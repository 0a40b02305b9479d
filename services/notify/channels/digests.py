"""Departments' mail: collected per department and window, and each delivery in exactly one digest.

A digest's id is `department:window:part` and its list never changes. Parts are numbered from 0 and never deleted, so a
delivery that is in none of the parts up to the first free number is in none at all, and inserting that number is the
guard. A digest is sent like any delivery; then every delivery in its list takes over what became of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.notify.channels.channel import Channel, Letter, hand_over, report
from services.notify.channels.letters import Letters
from services.notify.domain import (
    LEASE,
    CaseDeliveries,
    Delivery,
    Digest,
    Entry,
    Outcome,
    Progress,
    Refused,
    digest_id,
    mail_id,
    valid_address,
)
from services.notify.handlers import outcome_of
from services.notify.store import Deliveries, Digests, change_all, change_surely
from shared.clock import Clock
from shared.events.routing import Organisation
from shared.store.documents import Decision, Kept

AT_ONCE = 50
"""Digests sent together."""

LONGEST = 500
"""Deliveries in one digest."""

REMEMBERED = 64
"""Windows of departments whose parts are remembered."""


@dataclass
class Parts:
    """How many parts of one department's window are known, and which of them every delivery is in. Both only grow."""

    count: int = 0
    digests: dict[str, str] = field(default_factory=dict)


class DigestSender:
    """Gathers due deliveries to departments into digests, and brings digests to their end."""

    def __init__(
        self,
        deliveries: Deliveries,
        digests: Digests,
        letters: Letters,
        channel: Channel,
        clock: Clock,
        retries: Sequence[int],
    ) -> None:
        self._deliveries = deliveries
        self._digests = digests
        self._letters = letters
        self._channel = channel
        self._clock = clock
        self._retries = retries
        self._parts: OrderedDict[tuple[str, datetime], Parts] = OrderedDict()

    async def finish(self, about: Organisation) -> bool:
        """Bring the digests that are due forward: tell their cases what was left untold, then send. Whether any was."""
        due = await self._digests.due(self._clock.now(), AT_ONCE)
        for kept in due:
            if kept.value.untold_since:
                await self._tell_cases(kept)
        await self._send([kept for kept in due if not kept.value.untold_since], about)
        return bool(due)

    async def gather(self, cases: Sequence[Kept[CaseDeliveries]], about: Organisation) -> bool:
        """Put the due deliveries to departments among `cases` into digests and send these. Whether there were any."""
        now = self._clock.now()
        groups: dict[tuple[str, datetime], list[Entry]] = {}
        for kept in cases:
            for delivery in kept.value.deliveries:
                window = delivery.progress.next_at
                if delivery.ungathered and delivery.department and window and window <= now:
                    entries = groups.setdefault((delivery.department, window), [])
                    entries.append(_entry(kept.id, kept.value.number, delivery))
        new = []
        for (department, window), entries in groups.items():
            new += await self._begin(department, window, entries)
        await self._send(new, about)
        return bool(groups)

    async def _begin(self, department: str, window: datetime, entries: list[Entry]) -> list[Kept[Digest]]:
        """Insert digests with those of `entries` that are in none yet; tell the cases of the others which one it is."""
        begun: list[Kept[Digest]] = []
        strays: dict[str, list[Entry]] = {}
        parts = self._known(department, window)
        while entries:
            for entry in entries:
                if (id := parts.digests.get(entry.delivery)) is not None:
                    strays.setdefault(id, []).append(entry)
            entries = [entry for entry in entries if entry.delivery not in parts.digests]
            if not entries:
                break
            id = digest_id(department, window, parts.count)
            digest = Digest(department, window, tuple(entries[:LONGEST]), Progress(next_at=self._clock.now()))
            if (kept := await self._digests.begin(id, digest)) is not None:
                begun.append(kept)
                entries = entries[LONGEST:]
            elif (there := await self._digests.get(id)) is not None:
                digest = there.value
            parts.count += 1
            parts.digests |= dict.fromkeys((entry.delivery for entry in digest.entries), id)
        for kept in (await self._digests.get_many(list(strays))).values() if strays else ():
            await self._follow(kept, strays[kept.id])
        return begun

    def _known(self, department: str, window: datetime) -> Parts:
        parts = self._parts.setdefault((department, window), Parts())
        self._parts.move_to_end((department, window))
        if len(self._parts) > REMEMBERED:
            self._parts.popitem(last=False)
        return parts

    async def _send(self, due: Sequence[Kept[Digest]], about: Organisation) -> None:
        if not due:
            return
        now = self._clock.now()
        lease = now + LEASE
        claimed = await change_all(self._digests, due, lambda kept: self._claim(kept.value, now))
        addresses = {department.id: department.email for department in about.departments}
        sending = [kept for kept in claimed.values() if kept.value.progress.state == "sending"]
        outcomes: dict[str, Outcome] = {}
        letters: dict[str, Letter] = {}
        for kept in sending:
            to = addresses.get(kept.value.department)
            if to is not None and valid_address(to):
                letters[kept.id] = self._letters.to_department(mail_id(kept.id), to, kept.value.entries, about)
            else:
                outcomes[kept.id] = Refused("no-address")
        submitted = await hand_over(self._channel, list(letters.values()), self._clock)
        outcomes |= dict(zip(letters, submitted, strict=True))
        await change_surely(
            self._digests,
            sending,
            lambda kept: self._settle(kept.value, lease, outcomes[kept.id], self._clock.now()),
            self._clock,
        )
        report(outcomes.values())
        for kept in (await self._digests.get_many(list(claimed))).values():
            if kept.value.untold_since:
                await self._tell_cases(kept)

    def _claim(self, digest: Digest, now: datetime) -> Decision[Digest] | None:
        """A department rather hears of a case twice than never."""
        if digest.untold_since or not digest.progress.is_due(now):
            return None
        progress = digest.progress.claimed(now, True, self._retries)
        return Decision(replace(digest, progress=progress, untold_since=None if progress.state == "sending" else now))

    def _settle(self, digest: Digest, lease: datetime, outcome: Outcome, now: datetime) -> Decision[Digest] | None:
        progress = digest.progress.settled(lease, outcome, now, self._retries)
        if progress is None:
            return None
        return Decision(replace(digest, progress=progress, untold_since=None if progress.state == "pending" else now))

    async def _tell_cases(self, digest: Kept[Digest]) -> None:
        """Every delivery in the list takes over what became of the digest; then there is nothing left to tell."""
        await self._follow(digest, digest.value.entries)
        await change_surely(
            self._digests,
            [digest],
            lambda kept: Decision(replace(kept.value, untold_since=None)) if kept.value == digest.value else None,
            self._clock,
        )

    async def _follow(self, digest: Kept[Digest], entries: Sequence[Entry]) -> None:
        listed = {entry.delivery for entry in entries}
        cases = (await self._deliveries.get_many(list({entry.case for entry in entries}))).values()
        await change_surely(
            self._deliveries, cases, lambda kept: _followed(kept.value, digest, listed, self._clock.now()), self._clock
        )


def _entry(case: str, number: str, delivery: Delivery) -> Entry:
    return Entry(case, delivery.id, delivery.kind, number, delivery.category, delivery.deadline)


def _followed(
    case: CaseDeliveries, digest: Kept[Digest], listed: set[str], now: datetime
) -> Decision[CaseDeliveries] | None:
    """What the case's deliveries in the digest are now; a digest that others have brought further is not undone."""
    progress = digest.value.progress
    changed = [
        replace(delivery, digest=digest.id, progress=progress)
        for delivery in case.deliveries
        if delivery.id in listed
        and digest.value.carries(delivery, digest.id)
        and delivery.progress.attempts <= progress.attempts
        and delivery.progress.state != "sent"
        and (delivery.digest is None or delivery.progress != progress)
    ]
    if not changed:
        return None
    return Decision(case.changing(*changed), [event for one in changed for event in outcome_of(one, now)])
