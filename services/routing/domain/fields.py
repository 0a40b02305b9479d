"""YAML as fields that know where they stand, so that every mistake names file, line and field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import yaml

from shared.errors import Misconfigured

IDENTIFIER = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", re.ASCII)
NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?", re.ASCII)
LONGEST = 200
"""Characters of an id, a word or a label."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the file. Its methods read it as what it must be, or raise `Misconfigured`.

    `line` counts from 1: the key's, or the item's of a list.
    """

    file: str
    line: int
    path: str
    node: yaml.Node

    def wrong(self, what: str) -> NoReturn:
        """Raise: `file:line: path: what`."""
        where = f"{self.file}:{self.line}"
        raise Misconfigured(f"{where}: {self.path}: {what}" if self.path else f"{where}: {what}")

    def fields(self, needed: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Field]:
        """The fields of a mapping that has all of `needed` and nothing but those and `optional`."""
        found = dict(self.entries())
        for name, field in found.items():
            if name not in needed and name not in optional:
                field.wrong(f"unknown field; known are {', '.join((*needed, *optional))}")
        for name in needed:
            if name not in found:
                self.wrong(f"the field {name} is missing")
        return found

    def entries(self) -> Iterator[tuple[str, Field]]:
        """The entries of a mapping with free keys, in order."""
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong("must be a mapping")
        seen = set()
        for key, value in self.node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                Field(self.file, line, self.path, key).wrong("a key must be a word")
            field = Field(self.file, line, f"{self.path}.{key.value}" if self.path else key.value, value)
            if key.value in seen:
                field.wrong("is given twice")
            seen.add(key.value)
            yield key.value, field

    def items(self) -> list[Field]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.wrong("must be a list")
        return [
            Field(self.file, node.start_mark.line + 1, f"{self.path}[{n}]", node)
            for n, node in enumerate(self.node.value)
        ]

    def text(self) -> str:
        """A word or words, as written: `no` is a word here."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag == "tag:yaml.org,2002:null":
            self.wrong("must be text")
        value: str = self.node.value.strip()
        if not value:
            self.wrong("must not be empty")
        if len(value) > LONGEST:
            self.wrong(f"is longer than {LONGEST} characters")
        return value

    def identifier(self) -> str:
        value = self.text()
        if not IDENTIFIER.fullmatch(value):
            self.wrong("an id has small letters and digits, joined by - or .")
        return value

    def number(self, least: float, most: float) -> float:
        value = self.text()
        if not NUMBER.fullmatch(value) or not least <= float(value) <= most:
            self.wrong(f"must be a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, least: int, most: int) -> int:
        value = self.number(least, most)
        if not value.is_integer():
            self.wrong("must be a whole number")
        return int(value)


def read_fields(text: str, file: str) -> Field:
    """The document in `text`. Raises `Misconfigured` where it is not YAML or empty."""
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Misconfigured(f"{file}:{line}: cannot be read as YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise Misconfigured(f"{file}:1: cannot be read as YAML") from None
    if node is None:
        raise Misconfigured(f"{file}:1: the file is empty")
    return Field(file, 1, "", node)
