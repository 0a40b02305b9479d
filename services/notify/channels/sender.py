"""The loop that sends. What it does is written down before and after, so dying anywhere loses nothing:

claim (`sending`, with a lease) → submit → write the outcome. Many cases share each of the three steps.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from services.notify.channels.channel import Channel, Letter, hand_over, report
from services.notify.channels.digests import DigestSender
from services.notify.channels.letters import Letters
from services.notify.domain import (
    AT_LEAST_ONCE,
    LEASE,
    CaseDeliveries,
    Delivery,
    Outcome,
    Refused,
    Sent,
    valid_address,
)
from services.notify.handlers import outcome_of
from services.notify.store import Deliveries, change_all, change_surely
from shared.clock import Clock
from shared.delivery.organisation import OrganisationCopy
from shared.errors import HuiyinError, Unavailable
from shared.events.envelope import Sealed
from shared.events.routing import Organisation
from shared.store.documents import Decision, Kept
from shared.telemetry.logs import log
from shared.telemetry.metrics import PROMISE_SECONDS
from shared.telemetry.tracing import follow
from shared.vault.vault import Keys, Vault, key_name

BATCH = 500
"""Cases looked at in one round."""

POLL = 1.0
"""Seconds after which the loop looks for what has come due, if nothing was written before."""

GRACE = 8.0
"""Seconds that a round gets to end in when the process is told to stop."""

Claimed = tuple[Kept[CaseDeliveries], Delivery]


class Sender:
    """Sends what is due: first departments' digests (see `digests.py`), then what citizens are told."""

    def __init__(
        self,
        deliveries: Deliveries,
        digests: DigestSender,
        letters: Letters,
        channel: Channel,
        vault: Vault,
        organisation: OrganisationCopy,
        clock: Clock,
        retries: Sequence[int],
    ) -> None:
        self._deliveries = deliveries
        self._digests = digests
        self._letters = letters
        self._channel = channel
        self._vault = vault
        self._organisation = organisation
        self._clock = clock
        self._retries = retries
        self._log = log("notify")

    async def run(self) -> None:
        """Send until cancelled; what is being submitted then still gets its outcome written, within `GRACE` seconds."""
        away = False
        try:
            while True:
                self._deliveries.written.clear()
                try:
                    busy = await self._whole_round()
                    away = False
                except Unavailable:
                    if not away:
                        self._log.warning("sending waits: the store does not answer")
                    busy, away = False, True
                if not busy:
                    await self._pause()
        finally:
            await self._channel.close()

    async def round(self) -> bool:
        """Send what is due now; whether there was anything. Nothing is sent before the organisation is known."""
        announced = await self._organisation.current()
        if announced is None:
            return False
        finished = await self._digests.finish(announced.content)
        cases = await self._deliveries.due(self._clock.now(), BATCH)
        gathered = await self._digests.gather(cases, announced.content)
        await self._tell_citizens(cases, announced.content)
        return bool(finished or gathered or cases)

    async def _whole_round(self) -> bool:
        work = asyncio.ensure_future(self.round())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(GRACE):
                    await work
            raise

    async def _pause(self) -> None:
        waits = [asyncio.ensure_future(wait) for wait in (self._deliveries.written.wait(), self._clock.sleep(POLL))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _tell_citizens(self, cases: Sequence[Kept[CaseDeliveries]], about: Organisation) -> None:
        now = self._clock.now()
        due = [kept for kept in cases if any(_is_due(delivery, now) for delivery in kept.value.deliveries)]
        if not due:
            return
        keys = await self._vault.fetch({key_name(kept.value.contact) for kept in due})
        now = self._clock.now()
        claimed = await change_all(self._deliveries, due, lambda kept: self._claim(kept.value, now))
        lease = now + LEASE
        jobs: list[Claimed] = [
            (kept, delivery)
            for kept in claimed.values()
            for delivery in kept.value.deliveries
            if delivery.recipient_role == "citizen" and delivery.progress.lease_until == lease
        ]
        outcomes: dict[str, Outcome] = {}
        letters: list[Letter] = []
        for kept, delivery in jobs:
            written = self._word(kept.value, delivery, keys, about)
            if isinstance(written, Letter):
                letters.append(written)
            else:
                outcomes[delivery.id] = written
        with contextlib.ExitStack() as spans:
            for _, delivery in jobs:
                spans.enter_context(follow(f"tell the citizen ({delivery.kind})", delivery.traceparent))
            submitted = await hand_over(self._channel, letters, self._clock)
        outcomes |= {letter.id: outcome for letter, outcome in zip(letters, submitted, strict=True)}
        await change_surely(
            self._deliveries,
            {kept.id: kept for kept, _ in jobs}.values(),
            lambda kept: self._settle(kept.value, lease, outcomes, self._clock.now()),
            self._clock,
        )
        report(outcomes.values())
        for kept, delivery in jobs:
            if delivery.kind == "acknowledgement" and isinstance(told := outcomes[delivery.id], Sent):
                PROMISE_SECONDS.observe((told.at - kept.value.received_at).total_seconds())

    def _claim(self, case: CaseDeliveries, now: datetime) -> Decision[CaseDeliveries] | None:
        claimed = [
            replace(delivery, progress=delivery.progress.claimed(now, self._repeatable(delivery), self._retries))
            for delivery in case.deliveries
            if _is_due(delivery, now)
        ]
        return Decision(case.changing(*claimed)) if claimed else None

    def _repeatable(self, delivery: Delivery) -> bool:
        return self._channel.repeatable or delivery.kind in AT_LEAST_ONCE

    def _settle(
        self, case: CaseDeliveries, lease: datetime, outcomes: dict[str, Outcome], now: datetime
    ) -> Decision[CaseDeliveries] | None:
        settled = [
            replace(delivery, progress=progress)
            for delivery in case.deliveries
            if (outcome := outcomes.get(delivery.id)) is not None
            and (progress := delivery.progress.settled(lease, outcome, now, self._retries)) is not None
        ]
        if not settled:
            return None
        return Decision(case.changing(*settled), [event for one in settled for event in outcome_of(one, now)])

    def _word(
        self, case: CaseDeliveries, delivery: Delivery, keys: dict[str, Keys], about: Organisation
    ) -> Letter | Refused:
        """The letter, or why there can be none: keys destroyed, or no address in what was left as contact."""
        try:
            contact = from_json(_opened(keys, case.contact, "contact"))
            text = _opened(keys, delivery.text, "text") if delivery.text else None
        except KeyError:
            return Refused("erased")
        except (HuiyinError, ValueError):
            return Refused("unreadable")
        to = _said(contact, "email")
        if not valid_address(to):
            return Refused("address")
        return self._letters.to_citizen(delivery, case.number, case.language, to, _said(contact, "code"), text, about)


def _is_due(delivery: Delivery, now: datetime) -> bool:
    return delivery.recipient_role == "citizen" and delivery.progress.is_due(now)


def _opened(keys: dict[str, Keys], sealed: Sealed, field: str) -> str:
    return keys[key_name(sealed)].open(sealed, field)


def _said(contact: Any, name: str) -> str:
    word = contact.get(name) if isinstance(contact, dict) else None
    return word if isinstance(word, str) else ""
