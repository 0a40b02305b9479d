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

LARGEST = 2**63
"""Whole numbers are smaller than this, as in every store and most languages."""

# An unclosed string runs to the end, so the pattern always matches and its time stays linear.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_SUSPICIOUS = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)


def strict_json(body: bytes, depth: int = DEEPEST) -> Any:
    """The value of a JSON text in UTF-8.

    Raises `Malformed` for what is no JSON, a repeated key, NaN, an overflowing number or more than `depth` levels,
    and `Invalid` naming the field for a string with NUL or a lone surrogate.
    """
    _check_depth(body, depth)
    try:
        value = _decoder.decode(body.decode())
    except (ValueError, RecursionError):
        raise Malformed("the body is not strict JSON in UTF-8") from None
    if _SUSPICIOUS.search(body):
        errors = [FieldError(location, "unreadable") for location in _unreadable(value, "")]
        if errors:
            raise Invalid(errors)
    return value


def pointer(path: Iterable[str | int]) -> str:
    """A JSON pointer that echoes nothing of the input but what looks like a field's name; the rest is `*`."""
    return "".join(f"/{part}" if isinstance(part, int) or _NAME.fullmatch(part) else "/*" for part in path)


def fields_of(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """What `ValidationError.errors()` says, as locations and codes: no input, no message, no link.

    The code is Pydantic's, or the message of a validator's own ValueError where that is one word.
    """
    found = []
    for error in errors:
        code = str(error["type"])
        cause = error.get("ctx", {}).get("error")
        if code == "value_error" and isinstance(cause, ValueError) and _NAME.fullmatch(str(cause)):
            code = str(cause)
        path = tuple(error["loc"])
        found.append(FieldError(pointer(path[1:] if path[:1] == ("body",) else path), code))
    return found


def _check_depth(body: bytes, deepest: int) -> None:
    """On the bytes: a parser that recurses never sees what is too deep for it."""
    if body.count(b"[") + body.count(b"{") <= deepest:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        if bracket in b"[{":
            depth += 1
            if depth > deepest:
                raise Malformed(f"the body is nested deeper than {deepest} levels")
        else:
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
    if len(text) > 20 or not -LARGEST <= (value := int(text)) < LARGEST:
        raise ValueError("out of range")
    return value


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)


def _unreadable(value: Any, path: str) -> Iterator[str]:
    """Where strings hold NUL or a lone surrogate. Nesting is bounded, so recursion is safe."""
    match value:
        case str():
            if _UNREADABLE.search(value):
                yield path
        case dict():
            for key, item in value.items():
                yield from _unreadable(key, f"{path}/*")
                yield from _unreadable(item, path + pointer([key]))
        case list():
            for number, item in enumerate(value):
                yield from _unreadable(item, f"{path}/{number}")
        case _:
            pass
