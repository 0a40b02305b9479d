"""What every event carries, and the CloudEvents 1.0 envelope around it on the log (binary mode: headers + JSON value)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from shared.clock import Moment, parse_rfc3339, rfc3339
from shared.errors import TooLarge, Undecodable

LARGEST = 1_000_000
"""Bytes of an event's value at most: what Kafka takes as it comes, with room for the headers. The same in both modes, so
that an installation can move."""

ActorKind = Literal["citizen", "staff", "system", "import", "provider"]


class Model(BaseModel):
    """Strict when written: an undeclared field is a bug. Reading passes `extra="ignore"`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class Actor(Model):
    """Who did it. `id` is a work number, a key's id or a preset's name: never personal data of a citizen."""

    kind: ActorKind
    id: str | None = None


class Sealed(Model):
    """Personal data as ciphertext: AES-256-GCM under the vault key named `key` (`<name>/text`, `/reply` or `/contact`)."""

    alg: Literal["A256GCM"] = "A256GCM"
    key: str
    nonce: str
    ct: str


class Event(Model):
    """A fact, past tense. `at` is business time: the moment it is true for, the writing moment unless an importer gave it.

    An event read from the log knows its `envelope`.
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str]
    about: ClassVar[str] = "case"
    """What the message key names: `case` or `organisation`."""

    at: Moment
    actor: Actor

    @property
    def envelope(self) -> Envelope:
        """The envelope it came in. Raises `Undecodable` for an event that was never on the log."""
        # Not a declared private attribute: pydantic would call back into Python for every event that is made or read.
        envelope: Envelope | None = (self.__pydantic_private__ or {}).get("envelope")
        if envelope is None:
            raise Undecodable("this event was not read from the log")
        return envelope


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as published. `sequence` counts what its document emitted: 1, 2, 3 without gap."""

    source: str
    subject: str
    sequence: int
    type: str
    version: int
    key: str
    time: datetime
    traceparent: str | None
    value: bytes

    @property
    def id(self) -> str:
        """`<source>/<subject>/<sequence>`: the same for every repetition of the event."""
        return f"{self.source}/{self.subject}/{self.sequence}"

    def headers(self) -> dict[str, str]:
        """The CloudEvents attributes in Kafka's binary binding."""
        headers = {
            "ce_specversion": "1.0",
            "ce_id": self.id,
            "ce_source": self.source,
            "ce_type": self.type,
            "ce_subject": self.subject,
            "ce_sequence": str(self.sequence),
            "ce_time": rfc3339(self.time),
            "ce_partitionkey": self.key,
            "ce_dataschema": f"urn:huiyin:{self.type}:v{self.version}",
            "content-type": "application/json",
        }
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return headers

    @classmethod
    def of(cls, key: str, headers: Mapping[str, str], value: bytes) -> Envelope:
        """The envelope of a record. Raises `Undecodable`, naming the attribute and never the content."""
        try:
            urn, _, version = headers["ce_dataschema"].rpartition(":v")
            del urn
            return cls(
                source=headers["ce_source"],
                subject=headers["ce_subject"],
                sequence=int(headers["ce_sequence"]),
                type=headers["ce_type"],
                version=int(version),
                key=key,
                time=parse_rfc3339(headers["ce_time"]),
                traceparent=headers.get("traceparent"),
                value=value,
            )
        except KeyError as error:
            raise Undecodable(f"the attribute {error.args[0]} is missing") from None
        except ValueError:
            raise Undecodable("an attribute of the envelope cannot be read") from None


def enclose(
    event: Event, *, subject: str, sequence: int, key: str, time: datetime, traceparent: str | None
) -> Envelope:
    """Put an event into its envelope: the only place where an event is serialised.

    Raises `TooLarge` for one that the log would not take: before anything is written, for what is written is published.
    """
    value = event.__pydantic_serializer__.to_json(event, by_alias=True, exclude_none=True)
    if len(value) > LARGEST:
        raise TooLarge()
    return Envelope(
        source=event.source,
        subject=subject,
        sequence=sequence,
        type=event.type,
        version=event.version,
        key=key,
        time=time,
        traceparent=traceparent,
        value=value,
    )


def open_as(shape: type[Event], envelope: Envelope) -> Any:
    """Read an envelope's value as `shape`, ignoring fields this version does not know. Raises `Undecodable`."""
    try:
        event = shape.model_validate_json(envelope.value, extra="ignore")
    except ValueError:
        raise Undecodable(f"the value is not a {shape.type} of version {shape.version}") from None
    object.__setattr__(event, "__pydantic_private__", {"envelope": envelope})
    return event
