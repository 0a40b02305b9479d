"""An independent checker: reads the files of a stopped installation with its own SQL and says what is not true.

It imports nothing of the product, so it cannot share its mistakes. The invariants are those of the fault matrix.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SERVICES = ("intake", "routing", "notify", "analytics")
DIMENSIONS = ("channel", "kind", "category", "department", "area", "state")


def _rows(data: Path, name: str, sql: str) -> Iterator[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{data / name}.db?mode=ro", uri=True)
    try:
        yield from connection.execute(sql)
    finally:
        connection.close()


def _documents(data: Path, service: str, collection: str) -> dict[str, dict[str, Any]]:
    return {id: json.loads(body) for id, body in _rows(data, service, f'SELECT id, body FROM "{collection}"')}


class Findings(list[str]):
    """What is not true, each line with an example."""


def check(data: Path, accepted: dict[str, str], tried: int, secrets: Iterable[str] = ()) -> Findings:
    """All invariants. `accepted`: idempotency key → case id that a client was told; `tried`: keys that were sent;
    `secrets`: marked values that may stand nowhere but in `mail/` and `keys/`."""
    found = Findings()
    log = list(_rows(data, "log", "SELECT partition, offset, key, headers, value FROM log ORDER BY partition, offset"))
    events = [(p, o, k, json.loads(h), json.loads(v)) for p, o, k, h, v in log]
    feedback = _documents(data, "intake", "feedback")
    cases = _documents(data, "routing", "cases")
    _requests(found, accepted, tried, feedback, cases)
    _outboxes(found, data)
    first = _log(found, events, {"/intake": feedback, "/routing": cases})
    _folds(found, data, first, cases)
    _figures(found, data, cases)
    _secrets(found, data, secrets)
    return found


def _requests(found: Findings, accepted: dict[str, str], tried: int, feedback: Any, cases: Any) -> None:
    lost = [key for key, id in accepted.items() if id not in cases]
    if lost:
        found.append(f"I1: {len(lost)} accepted and no case, such as {lost[0]}")
    if len(set(accepted.values())) != len(accepted):
        found.append("I2: two keys were told the same case")
    if len(feedback) > tried or set(cases) != set(feedback):
        found.append(f"I3: {len(feedback)} feedback and {len(cases)} cases of {tried} requests")


def _outboxes(found: Findings, data: Path) -> None:
    for service in SERVICES:
        ((waiting,),) = _rows(data, service, "SELECT count(*) FROM _outbox")
        if waiting:
            found.append(f"I4: {waiting} events wait in the outbox of {service}")


def _log(found: Findings, events: Any, emitters: dict[str, Any]) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """The first occurrence of every event, in the order of the log; checks I5 and I6."""
    places: dict[str, set[int]] = {}
    last: Counter[tuple[str, str]] = Counter()
    first = []
    for partition, offset, key, headers, value in events:
        places.setdefault(key, set()).add(partition)
        emitter = (headers["ce_source"], headers["ce_subject"])
        sequence = int(headers["ce_sequence"])
        if sequence > last[emitter] + 1:
            found.append(f"I6: {headers['ce_id']} at {partition}/{offset} comes before its predecessor")
        if sequence == last[emitter] + 1:
            last[emitter] = sequence
            first.append((key, headers, value))
    if any(len(partitions) > 1 for partitions in places.values()):
        found.append("I6: a case is in two partitions")
    for source, documents in emitters.items():
        for id, body in documents.items():
            if last[source, id] != body["sequence"]:
                found.append(f"I5: {source}/{id} emitted {body['sequence']}, the log has {last[source, id]}")
        phantoms = [id for (s, id) in last if s == source and id not in documents and id != "organisation"]
        if phantoms:
            found.append(f"I5: the log has events of {phantoms[0]}, which {source} does not know")
    return first


def _folds(found: Findings, data: Path, first: Any, cases: Any) -> None:
    views, counted = _documents(data, "intake", "views"), _documents(data, "analytics", "cases")
    folded: dict[str, dict[str, Any]] = {}
    for key, headers, value in first:
        if headers["ce_source"] == "/routing" and key != "organisation":
            folded[key] = {"state": value["to"], "department": value["department"]}
    for id, expected in folded.items():
        for name, documents in (("routing", cases), ("intake", views), ("analytics", counted)):
            body = documents.get(id, {})
            if {field: body.get(field) for field in expected} != expected:
                found.append(f"I7: {name} has {id} otherwise than the log")


def _figures(found: Findings, data: Path, cases: Any) -> None:
    sums: Counter[tuple[str, str]] = Counter()
    for body in _documents(data, "analytics", "deltas").values():
        for cell, n in body["deltas"].items():
            _, dimension, value = cell.split("|", 2)
            sums[dimension, value] += n
    for dimension in DIMENSIONS:
        expected = Counter(body[dimension] or "unspecified" for body in cases.values())
        told = Counter({value: n for (name, value), n in sums.items() if name == dimension and n})
        if told != expected:
            found.append(f"I8: figures by {dimension} are {dict(told)}, a recount is {dict(expected)}")


def _secrets(found: Findings, data: Path, secrets: Iterable[str]) -> None:
    wanted = [secret.encode() for secret in secrets]
    for path in (p for p in data.parent.rglob("*") if p.is_file()):
        if "mail" in path.relative_to(data.parent).parts or "keys" in path.relative_to(data.parent).parts:
            continue
        content = path.read_bytes()
        found.extend(f"I16: a marked value stands in {path.name}" for secret in wanted if secret in content)
