"""Tables of feedback from elsewhere: CSV (also gzipped), by a preset or a mapping of columns, as lines of a batch.

The key of a row comes from the preset and the row's id column, or from its content and how often that content came
before in the file, so a second run adds nothing. It leaves here as a SHA-256; intake keeps only its HMAC of it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError
from pydantic_core import to_json

from services.intake.channels.batch import BatchLine
from shared.errors import FieldError, Misconfigured
from shared.http.strict import fields_of

ENCODINGS = ("utf-8-sig", "gb18030")
LONGEST = 256 * 1024
"""Characters of one cell."""

FIELDS = (
    "text",
    "received_at",
    "id",
    "kind",
    "category",
    "language",
    "name",
    "phone",
    "email",
    "address",
    "lat",
    "lon",
)
"""What a column may be mapped to. `text` may come from several columns, joined by line breaks."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How a known table is read: our field → its columns."""

    name: str
    columns: Mapping[str, tuple[str, ...]]


PRESETS: Mapping[str, Preset] = {
    "c_hot": Preset("c_hot", {"id": ("id",), "text": ("title", "body"), "received_at": ("time",), "name": ("user",)}),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be sent: its number in the file (the first after the heading is 1) and the batch line."""

    number: int
    line: bytes


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot: which fields, and why. Never what was in them."""

    number: int
    errors: Sequence[FieldError] = field(default_factory=tuple)


def mapped(pairs: Sequence[str], name: str) -> Preset:
    """A mapping given as `column=field` words. Raises `Misconfigured` for an unknown field or no text."""
    columns: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        column, _, ours = pair.rpartition("=")
        if ours not in FIELDS or not column:
            raise Misconfigured(f"--map takes column=field, and a field is one of {', '.join(FIELDS)}")
        columns[ours] = (*columns.get(ours, ()), column)
    if "text" not in columns:
        raise Misconfigured("--map needs a column for text")
    return Preset(name, columns)


def read_rows(path: Path, preset: Preset, live: bool = False) -> Iterator[Row | RowError]:
    """The rows of a table, one by one. Raises `Misconfigured` if it cannot be read as one."""
    seen: Counter[str] = Counter()
    csv.field_size_limit(LONGEST)
    try:
        with _opened(path, _encoding(path)) as file:
            reader = csv.DictReader(file)
            missing = {c for cs in preset.columns.values() for c in cs} - set(reader.fieldnames or ())
            if missing:
                raise Misconfigured(f"{path.name} has no column {', '.join(sorted(missing))}")
            for number, cells in enumerate(reader, 1):
                yield _row(number, cells, preset, seen, live)
    except (OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read as a table: {type(error).__name__}") from None


def count_rows(path: Path, preset: Preset) -> int:
    """How many rows there are, for a progress bar."""
    return sum(1 for _ in read_rows(path, preset))


def _row(number: int, cells: Mapping[str, Any], preset: Preset, seen: Counter[str], live: bool) -> Row | RowError:
    def value(name: str) -> str | None:
        parts = [str(cells.get(column) or "").strip() for column in preset.columns.get(name, ())]
        return "\n".join(part for part in parts if part) or None

    line: dict[str, Any] = {name: value(name) for name in ("text", "received_at", "kind", "category", "language")}
    contact = {name: found for name in ("name", "phone", "email") if (found := value(name))}
    errors: list[FieldError] = []
    location: dict[str, Any] = {"address": value("address")} if value("address") else {}
    for axis in ("lat", "lon"):
        if text := value(axis):
            try:
                location[axis] = float(text)
            except ValueError:
                errors.append(FieldError(f"/location/{axis}", "not_a_number"))
    line |= {"contact": contact or None, "location": location or None}
    line = {name: found for name, found in line.items() if found is not None}
    line["key"] = _key(preset, value("id"), line, seen)
    if live:
        line["live"] = True
    if "text" not in line:
        errors.append(FieldError("/text", "missing"))
    else:
        try:
            BatchLine.model_validate(line)
        except ValidationError as error:
            errors.extend(fields_of(error.errors(include_url=False)))
    return RowError(number, errors) if errors else Row(number, to_json(line))


def _key(preset: Preset, id: str | None, line: Mapping[str, Any], seen: Counter[str]) -> str:
    if id is None:
        content = hashlib.sha256(to_json(dict(line))).hexdigest()
        id = f"{content}/{seen[content]}"
        seen[content] += 1
    return "row-" + hashlib.sha256(f"{preset.name}\0{id}".encode()).hexdigest()


def _encoding(path: Path) -> str:
    """The first encoding that the whole file can be read in."""
    for encoding in ENCODINGS:
        try:
            with _opened(path, encoding) as file:
                while file.read(1 << 20):
                    pass
            return encoding
        except UnicodeDecodeError:
            continue
    raise Misconfigured(f"{path.name} is neither UTF-8 nor GB 18030")


def _opened(path: Path, encoding: str) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")
