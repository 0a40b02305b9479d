"""What an installation remembers of the sample: when its thirty days end, and whether all of it has been taken in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shared.clock import Moment
from shared.errors import Misconfigured

NAME = "sample.json"


@dataclass(frozen=True, slots=True)
class Mark:
    """`ends_at` is fixed at the first start; every time of the sample is counted back from it."""

    ends_at: Moment
    done: bool = False


_CODEC: TypeAdapter[Mark] = TypeAdapter(Mark)


def read_mark(data: Path) -> Mark | None:
    """The mark of the installation in this folder. Raises `Misconfigured` if it cannot be read."""
    try:
        return _CODEC.validate_json((data / NAME).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise Misconfigured(f"{data / NAME} cannot be read: {type(error).__name__}") from None


def write_mark(data: Path, mark: Mark) -> None:
    """Durable when this returns, and whole at any time."""
    draft = data / f".{NAME}"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_CODEC.dump_json(mark))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(data / NAME)
    folder = os.open(data, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def drop_mark(data: Path) -> None:
    (data / NAME).unlink(missing_ok=True)


def is_unfinished(data: Path) -> bool:
    """Whether a start has begun to take the sample in, and none has finished."""
    mark = read_mark(data)
    return mark is not None and not mark.done


def begun(data: Path, now: datetime) -> Mark:
    """The mark of this installation, made now if there is none."""
    mark = read_mark(data)
    if mark is None:
        mark = Mark(now)
        write_mark(data, mark)
    return mark
