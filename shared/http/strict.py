"""Strict JSON: what two parsers could read differently, or what could hurt one, is refused before a model sees it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from shared.errors import FieldError, Invalid, Malformed

DEEPEST = 32
"""Levels of nesting."""

DIGITS = 20
"""Digits of a whole number."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SUSPICIOUS = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)|\x00")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)


def strict_json(body: bytes) -> Any:
    """The value of a JSON text in UTF-8.

    Raises `Malformed` for what is no JSON, a repeated key, NaN, an overflowing number or more than 32 levels, and
    `Invalid` naming the field for a string with NUL or a lone surrogate.
    """
    _check_depth(body)
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError):
        raise Malformed("the body is not strict JSON in UTF-8") from None
    if _SUSPICIOUS.search(body):
        errors = [FieldError(location, "unreadable") for location in _unreadable(value, "")]
        if errors:
            raise Invalid(errors)
    return value


def pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer that echoes no more of the input than a well-formed name."""
    return "".join(f"/{part}" if _NAME.fullmatch(str(part)) else "/*" for part in path)


def fields_of(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's errors as locations and codes, without input, message or link."""
    found = []
    for error in errors:
        code = str(error["type"])
        cause = error.get("ctx", {}).get("error")
        if code == "value_error" and cause is not None and _NAME.fullmatch(str(cause)):
            code = str(cause)
        path = tuple(error["loc"])
        found.append(FieldError(pointer(path[1:] if path[:1] == ("body",) else path) or "/", code))
    return found


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for byte in _STRINGS.sub(b"", body):
        if byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise Malformed(f"the body is nested deeper than {DEEPEST} levels")
        elif byte in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse(_: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("out of range")
    return value


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError("out of range")
    return int(text)


def _unreadable(value: Any, path: str) -> Iterator[str]:
    """Where strings hold NUL or a lone surrogate. Bounded by `DEEPEST`, so recursion is safe."""
    match value:
        case str():
            if any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in value):
                yield path or "/"
        case dict():
            for key, item in value.items():
                yield from _unreadable(key, path + "/*")
                yield from _unreadable(item, path + pointer([key]))
        case list():
            for number, item in enumerate(value):
                yield from _unreadable(item, f"{path}/{number}")
        case _:
            pass
