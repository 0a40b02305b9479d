"""The port to a way out, and the mail that goes through it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal, Protocol

from services.notify.domain import LEASE, Failed, Outcome, Refused, Sent
from shared.clock import Clock
from shared.telemetry.failpoints import failpoint
from shared.telemetry.logs import log
from shared.telemetry.metrics import DELIVERIES

WHOLE = LEASE.total_seconds() - 10
BEGIN = 20.0
"""Seconds for handing over a batch (the lease leaves ten to write down what happened), and for beginning a letter."""

POLICY = SMTP.clone(cte_type="7bit")
"""No header of ours can hold a line break (the policy refuses it), and no relay has to know 8BITMIME."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail, the same words as text and as HTML. `id` names it for good: file name and Message-ID. `to` is one
    checked address."""

    id: str
    to: str
    subject: str
    text: str
    html: str
    language: str


class Channel(Protocol):
    """A way out.

    `repeatable`: submitting the same letter twice has the effect of once. `submit` answers for each letter, in order,
    and never raises for a letter's sake; letters not begun when `Clock.monotonic()` reaches `begin_by` are `Untried`.
    """

    @property
    def repeatable(self) -> bool: ...

    async def submit(self, letters: Sequence[Letter], begin_by: float) -> list[Outcome]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Stationery:
    """What all our mail has in common. `host` is the right side of every Message-ID."""

    sender: str
    sender_name: str
    host: str
    clock: Clock

    def message(self, letter: Letter, cte: Literal["8bit"] | None = None) -> EmailMessage:
        """The mail as MIME. Raises `ValueError` if an address or header cannot be written safely."""
        message = EmailMessage(policy=POLICY)
        message["From"] = Address(self.sender_name, addr_spec=self.sender)
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = format_datetime(self.clock.now())
        message["Message-ID"] = f"<{letter.id}@{self.host}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text, cte=cte)
        message.add_alternative(letter.html, subtype="html", cte=cte)
        message.set_boundary(f"=_{letter.id}")  # the same letter is the same bytes, however often it is submitted
        message["Content-Language"] = letter.language
        return message


async def hand_over(channel: Channel, letters: Sequence[Letter], clock: Clock) -> list[Outcome]:
    """Submit within the lease that was taken just before; what the channel left open by then counts as failed."""
    if not letters:
        return []
    failpoint("notify.before-submit")
    try:
        async with asyncio.timeout(WHOLE):
            outcomes = await channel.submit(letters, clock.monotonic() + BEGIN)
    except TimeoutError:
        outcomes = [Failed("timeout")] * len(letters)
    failpoint("notify.after-submit")
    return outcomes


def report(outcomes: Collection[Outcome]) -> None:
    """Count what became of a batch, and say for each reason how many letters were not sent."""
    for shape, word in ((Sent, "sent"), (Failed, "failed"), (Refused, "dead")):
        if count := sum(isinstance(outcome, shape) for outcome in outcomes):
            DELIVERIES.labels("email", word).inc(count)
    for reason, count in Counter(o.reason for o in outcomes if isinstance(o, (Failed, Refused))).items():
        log("notify").warning("mail was not sent", reason=reason, count=count)
