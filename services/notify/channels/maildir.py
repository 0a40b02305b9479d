"""Mail into a Maildir: one for everybody, the To header tells. A letter lies in it once, however often it is submitted.

Its id is its file name. It is written and synced in `tmp/`, then linked into `new/` without overwriting. A mail reader
moves files from `new/` to `cur/`, so we look in that order: what is in neither was never there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from services.notify.channels.channel import Letter, Stationery
from services.notify.domain import Failed, Outcome, Refused, Sent
from shared.clock import Clock


class MaildirChannel:
    """The Maildir at `folder`, made with mode 0700 when first written to."""

    repeatable = True

    def __init__(self, folder: Path, stationery: Stationery, clock: Clock) -> None:
        self._folder = folder
        self._stationery = stationery
        self._clock = clock

    async def submit(self, letters: Sequence[Letter], begin_by: float) -> list[Outcome]:
        del begin_by
        return await asyncio.to_thread(self._store, letters)

    async def close(self) -> None:
        pass

    def _store(self, letters: Sequence[Letter]) -> list[Outcome]:
        try:
            for folder in (self._folder, *(self._folder / name for name in ("tmp", "new", "cur"))):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            there = self._there({letter.id for letter in letters})
            outcomes = [Sent(self._clock.now()) if letter.id in there else self._write(letter) for letter in letters]
            self._sync("new")
        except OSError:
            return [Failed("disk")] * len(letters)
        return outcomes

    def _there(self, ids: set[str]) -> set[str]:
        there = {id for id in ids if (self._folder / "new" / id).exists()}
        if there != ids:
            with os.scandir(self._folder / "cur") as entries:
                there |= ids & {entry.name.partition(":2,")[0] for entry in entries}
        return there

    def _write(self, letter: Letter) -> Outcome:
        try:
            content = self._stationery.message(letter, cte="8bit").as_bytes()
        except ValueError:
            return Refused("address")
        draft = self._folder / "tmp" / letter.id
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content.replace(b"\r\n", b"\n"))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, self._folder / "new" / letter.id)
        except OSError:
            return Failed("disk")
        finally:
            draft.unlink(missing_ok=True)
        return Sent(self._clock.now())

    def _sync(self, name: str) -> None:
        handle = os.open(self._folder / name, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
