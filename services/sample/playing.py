"""Taking the sample in, over the calls that importers use. Every line is safe to repeat, so it may stop anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import httpx2
from pydantic_core import to_json

from services.importing import progress, send
from services.sample.mark import Mark, begun, drop_mark, is_unfinished, read_mark, write_mark
from services.sample.people import sign_in_links
from services.sample.script import Step, read_messages, read_steps
from shared.clock import Clock, SystemClock
from shared.errors import Misconfigured
from shared.settings import PlatformSettings
from shared.telemetry.logs import log

TOGETHER = 100
"""Lines of one call."""

LOOK = 0.02
"""Seconds between two looks at whether everything is known everywhere."""

LONGEST = 120.0
"""Seconds that this may take."""


class Sample:
    """The prelude of an installation that shows the sample: only in a new one, and only with the sample's organisation."""

    def __init__(self, settings: PlatformSettings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()

    def begins(self, fresh: bool) -> bool:
        """Fix, in a new installation, when the sample ends. With `HUIYIN_SAMPLE=off` what was begun is left as it is."""
        data = self._settings.data
        if self._settings.sample == "off" or self._settings.organisation is not None:
            if is_unfinished(data):
                drop_mark(data)
            return False
        if read_mark(data) is None and not fresh:
            return False
        return not begun(data, self._clock.now()).done

    async def play(self, client: httpx2.AsyncClient) -> Sequence[str]:
        """Take all of it in, or the rest of it; refused lines are counted and left out."""
        mark = begun(self._settings.data, self._clock.now())
        messages, steps = list(read_messages(mark.ends_at)), read_steps(mark.ends_at)
        refused = 0
        numbers: dict[str, str] = {}
        with progress() as bar:
            task = bar.add_task("the sample", total=len(messages) + len(steps))
            for start in range(0, len(messages), TOGETHER):
                lines = messages[start : start + TOGETHER]
                results = await send(client, "/v1/feedback/batch", [to_json(line) for line in lines], self._clock)
                for line, result in zip(lines, results, strict=True):
                    if result["status"] == 201:
                        numbers[line["key"]] = result["number"]
                    else:
                        refused += 1
                bar.advance(task, len(lines))
            steps = [step for step in steps if step.key in numbers]
            for _, turn in groupby(sorted(steps, key=lambda step: step.turn), key=lambda step: step.turn):
                await self._quiet(client)
                together = list(turn)
                refused += await self._take(client, "/v1/cases/batch", together, False, numbers)
                refused += await self._take(client, "/v1/feedback/follow-ups", together, True, numbers)
                bar.advance(task, len(together))
            await self._quiet(client)
        if refused:
            log("sample").warning("some lines of the sample were refused", count=refused)
        links = await sign_in_links(client)
        write_mark(self._settings.data, Mark(mark.ends_at, done=True))
        return links

    async def _take(
        self, client: httpx2.AsyncClient, path: str, steps: Sequence[Step], by_citizen: bool, numbers: Mapping[str, str]
    ) -> int:
        lines = [to_json({**s.line, "number": numbers[s.key]}) for s in steps if s.by_citizen == by_citizen]
        results = await send(client, path, lines, self._clock)
        return sum(result["status"] not in (200, 202) for result in results)

    async def _quiet(self, client: httpx2.AsyncClient) -> None:
        """Wait until whoever acts next knows what was done before."""
        give_up = self._clock.monotonic() + LONGEST
        while not (await client.get("/control/quiet")).json()["quiet"]:
            if self._clock.monotonic() > give_up:
                raise Misconfigured("the sample cannot be taken in: a service does not read on")
            await self._clock.sleep(LOOK)
