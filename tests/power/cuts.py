"""A disk that loses its power: what was synced is there, of the rest any sectors may be, in any order, and torn."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SECTOR = 512
RECORD = struct.Struct("<ciqi")


@dataclass(frozen=True)
class Step:
    """One call: `w`rite, `t`runcate, `s`ync, or `u`nlink, which is durable at once (as on a journalling file system)."""

    kind: str
    file: str
    offset: int
    data: bytes


@dataclass
class File:
    """One file: what is on the platter, and what was written since the last sync."""

    durable: bytearray = field(default_factory=bytearray)
    since: list[Step] = field(default_factory=list)

    def take(self, step: Step) -> None:
        if step.kind == "s":
            for one in self.since:
                _apply(self.durable, one)
            self.since.clear()
        elif step.kind in "wt":
            self.since.append(step)

    def after_the_cut(self, chance: random.Random) -> bytes:
        """What is found when the power is back: of each unsynced write every sector or not, by chance."""
        content = bytearray(self.durable)
        for step in self.since:
            if step.kind == "t":
                if chance.random() < 0.5:
                    _apply(content, step)
                continue
            whole = chance.random()
            for start in range(0, len(step.data), SECTOR):
                if whole < 0.4 or chance.random() < 0.5:
                    _apply(content, Step("w", step.file, step.offset + start, step.data[start : start + SECTOR]))
        return bytes(content)


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "t":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
        return
    end = step.offset + len(step.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[step.offset : end] = step.data


def compiled(folder: Path) -> Path:
    """The journal as a library. Raises where there is no C compiler."""
    library = folder / "journal.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "journal.c", "-ldl", "-lpthread"], check=True
    )
    return library


def recorded(folder: Path, rows: int, *mode: str) -> list[Step]:
    """Run the workload on a new folder and read what it did to its files."""
    data, journal = folder / "data", folder / "journal"
    data.mkdir()
    environment = {
        **os.environ,
        "LD_PRELOAD": str(compiled(folder)),
        "JOURNAL": str(journal),
        "JOURNAL_FOLDER": str(data),
    }
    command = [sys.executable, "-m", "tests.power.workload", str(data), str(rows), *mode]
    subprocess.run(command, check=True, env=environment, timeout=120)
    return list(_read(journal.read_bytes()))


def _read(content: bytes) -> Iterator[Step]:
    names: dict[int, str] = {}
    at = 0
    while at < len(content):
        kind, file, offset, length = RECORD.unpack_from(content, at)
        data = content[at + RECORD.size : at + RECORD.size + length]
        at += RECORD.size + length
        if kind == b"o":
            names[file] = Path(data.decode()).name
        elif kind == b"u":
            yield Step("u", Path(data.decode()).name, 0, b"")
        elif not names[file].endswith("-shm"):  # an index of the write-ahead log, made anew at every start
            yield Step(kind.decode(), names[file], offset, data)


@dataclass
class Verdict:
    """What was found after so many cuts."""

    cuts: int = 0
    lost: int = 0
    corrupt: int = 0


def judged(steps: list[Step], cuts: int, seed: int = 1) -> Verdict:
    """Cut the power at random steps and see what is lost of what was confirmed, and whether the files are sound."""
    chance = random.Random(seed)
    points = sorted(chance.randrange(len(steps)) for _ in range(cuts))
    files: dict[str, File] = {}
    confirmed: list[tuple[str, str]] = []
    verdict = Verdict()
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, step in enumerate(steps):
            while done < len(points) and points[done] == number:
                done += 1
                verdict.cuts += 1
                _found(Path(folder), files, confirmed, chance, verdict)
            if step.file == "confirmed":
                confirmed += [(word[0], word[1]) for line in step.data.decode().splitlines() if (word := line.split())]
            elif step.kind == "u":
                files.pop(step.file, None)
            else:
                files.setdefault(step.file, File()).take(step)
    return verdict


def _found(
    folder: Path, files: dict[str, File], confirmed: list[tuple[str, str]], chance: random.Random, verdict: Verdict
) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, file in files.items():
        (folder / name).write_bytes(file.after_the_cut(chance))
    kept: dict[str, set[str]] = {"notes": set(), "log": set()}
    for name, column in (("notes", "id"), ("log", "key")):
        if not (folder / f"{name}.db").exists():
            continue
        with contextlib.closing(sqlite3.connect(folder / f"{name}.db")) as connection:
            try:
                if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                    raise sqlite3.DatabaseError("not sound")
                if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
                    kept[name] = {id for (id,) in connection.execute(f'SELECT {column} FROM "{name}"')}
            except sqlite3.DatabaseError:
                verdict.corrupt += 1
                return
    verdict.lost += any(id not in kept[name] for name, id in confirmed)
