"""The log: one line of JSON on stderr per failure and per state of the process, none per request.

No line holds what a person wrote: control characters are escaped, fields are cut at 1 KB, and an exception is told by
its class, its place in the code and a hash of its message.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

import structlog
from pydantic_core import to_json
from structlog.typing import FilteringBoundLogger, Processor

from shared.telemetry.tracing import current_trace

LONGEST = 1024
"""Bytes of a field."""

ENORMOUS = 2**63
"""A number that is not smaller, or none at all, is told as text: not every reader of JSON has room for it."""

UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

ROOT = Path(__file__).parents[2]

Fields = MutableMapping[str, Any]


class _Stderr:
    """Whatever standard error is at the moment of writing. Where it cannot be written, as on a full disk, the line is
    lost and the work goes on."""

    def info(self, line: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(line + "\n")

    debug = warning = error = critical = info


def log(name: str) -> FilteringBoundLogger:
    """The logger of a service or module. The first argument of its methods is a fixed sentence; values are fields."""
    levels = structlog.make_filtering_bound_logger(logging.INFO)
    told: list[Processor] = [_level, _moment, _trace, _failure, _plain, _line]
    return cast(FilteringBoundLogger, structlog.wrap_logger(_Stderr(), told, levels, dict, service=name))


def configure(mode: Literal["json", "text"]) -> None:
    """Log as JSON (as nothing is said) or as text for a person, and hear what libraries log, from warnings upwards."""
    global _shown
    _shown = _json if mode == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(logging.WARNING)


def failure(error: BaseException) -> dict[str, str]:
    """What may be said of an exception: its class, where it was raised, and a hash to recognise it by."""
    digest = sha256(str(error).encode(errors="replace")).hexdigest()[:12]
    return {"error": type(error).__name__, "error_at": _place(error.__traceback__), "error_hash": digest}


class _Libraries(logging.Handler):
    """What libraries log. Their arguments and all but the first line are left out: they may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        sentence, _, _ = str(record.msg).partition("\n")
        error = record.exc_info[1] if record.exc_info else None
        told = failure(error) if error else {}
        log(record.name).log(max(record.levelno, logging.INFO), sentence, **told)


def _level(logger: Any, method: str, fields: Fields) -> Fields:
    return {"level": {"warn": "warning", "exception": "error"}.get(method, method), **fields}


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


def _moment(logger: Any, method: str, fields: Fields) -> Fields:
    return {"time": _stamp(logger, method, {})["time"], **fields}


def _trace(logger: Any, method: str, fields: Fields) -> Fields:
    if trace := current_trace():
        fields["trace"] = trace
    return fields


def _failure(logger: Any, method: str, fields: Fields) -> Fields:
    """`exc_info=True` or an exception becomes the three fields of `failure`."""
    given = fields.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        fields.update(failure(error))
    return fields


def _plain(logger: Any, method: str, fields: Fields) -> Fields:
    return {name: _cut(value) for name, value in fields.items()}


def _cut(value: Any) -> Any:
    """A value fit for a line: numbers as they are, everything else as short text without control characters."""
    if value is None or (isinstance(value, bool | int | float) and abs(value) < ENORMOUS):
        return value
    if isinstance(value, BaseException):
        return type(value).__name__
    text = value if isinstance(value, str) else repr(value)
    text = UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:LONGEST])
    return text.encode()[:LONGEST].decode(errors="ignore")


def _json(logger: Any, method: str, fields: Fields) -> str:
    return to_json(dict(fields)).decode()


_shown: Processor = _json


def _line(logger: Any, method: str, fields: Fields) -> Any:
    return _shown(logger, method, fields)


def _place(traceback: TracebackType | None) -> str:
    """The innermost line of our own code that an exception passed, as `file:line`; else the innermost of any code."""
    ours, last = "", ""
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        ours = place_of(file, traceback.tb_lineno) or ours
        last = f"{Path(file).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return ours or last


def place_of(file: str, line: int) -> str | None:
    """A line of our own code as `file:line`, None for anybody else's."""
    path = Path(file)
    return f"{path.relative_to(ROOT)}:{line}" if path.is_relative_to(ROOT) and ".venv" not in path.parts else None
