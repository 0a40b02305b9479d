"""A channel that drops every mail and says it was sent. For load tests (`NOTIFY_CHANNEL=discard`), nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from services.notify.channels.channel import Letter
from services.notify.domain import Outcome, Sent
from shared.clock import Clock


class DiscardChannel:
    """See the module."""

    repeatable = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def submit(self, letters: Sequence[Letter], begin_by: float) -> list[Outcome]:
        del begin_by
        sent = Sent(self._clock.now())
        return [sent] * len(letters)

    async def close(self) -> None:
        pass
