"""An independent checker: reads what an installation keeps with its own SQL and says what is not true.

It imports nothing of the product, so it cannot share its mistakes. The invariants are those of the fault matrix.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

SERVICES = ("intake", "routing", "notify", "analytics")
HEARD = {
    ("case.supplemented", None),
    ("case.reopened", None),
    ("case.withdrawn", None),
    ("case.resumed", "message"),
    ("case.closed", "rated"),
}
"""What a citizen's word becomes: an event and, where it has one, its cause; None: whatever the cause."""

SPOKEN = {"case.awaiting-citizen", "case.answered", "case.closed"}
STEPS: dict[str, set[str]] = {
    "received": {"triage", "routed"},
    "triage": {"routed", "withdrawn"},
    "returned": {"routed", "withdrawn"},
    "routed": {"accepted", "returned", "routed", "withdrawn"},
    "accepted": {"in-progress", "awaiting-citizen", "answered", "returned", "routed", "withdrawn"},
    "in-progress": {"awaiting-citizen", "answered", "returned", "routed", "withdrawn"},
    "awaiting-citizen": {"in-progress", "routed", "withdrawn"},
    "answered": {"closed", "in-progress", "routed", "withdrawn"},
    "closed": {"in-progress"},
    "withdrawn": set(),
}
"""State → where it may lead, written down again from the architecture's table."""

DIMENSIONS = ("channel", "kind", "category", "department", "area", "state")


Rows = Callable[[str, str], Iterable[tuple[Any, ...]]]
"""What a file of the installation (`intake`, `log`, …) answers to a question in SQL."""


def rows_of(data: Path) -> Rows:
    """The files of a stopped installation's data folder, opened read-only."""

    def rows(name: str, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{data / name}.db?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    return rows


def _documents(rows: Rows, service: str, collection: str) -> dict[str, dict[str, Any]]:
    return {id: json.loads(body) for id, body in rows(service, f'SELECT id, body FROM "{collection}"')}


class Findings(list[str]):
    """What is not true, each line with an example."""


def check_folder(data: Path, accepted: dict[str, str], tried: int, secrets: Iterable[str] = ()) -> Findings:
    """`check` of a stopped installation, and of its files: `secrets` are marked values that may stand nowhere but in
    `mail/` and `keys/`."""
    found = check(rows_of(data), accepted, tried)
    _secrets(found, data, secrets)
    return found


def check(rows: Rows, accepted: dict[str, str], tried: int, in_order: bool = True) -> Findings:
    """All invariants. `accepted`: idempotency key → case id that a client was told; `tried`: keys that were sent;
    `in_order`: nobody but the services has written to the log, so that it has to be in order."""
    found = Findings()
    log = list(rows("log", "SELECT partition, offset, key, headers, value FROM log ORDER BY partition, offset"))
    events = [(p, o, k, json.loads(h), json.loads(v)) for p, o, k, h, v in log]
    feedback = _documents(rows, "intake", "feedback")
    cases = _documents(rows, "routing", "cases")
    _requests(found, accepted, tried, feedback, cases)
    _outboxes(found, rows)
    first = _log(found, events, {"/intake": feedback, "/routing": cases}, in_order)
    _folds(found, rows, first, cases)
    _moves(found, first)
    _conserved(found, rows, first)
    _keys(found, feedback)
    _figures(found, rows, cases)
    return found


def _requests(found: Findings, accepted: dict[str, str], tried: int, feedback: Any, cases: Any) -> None:
    lost = [key for key, id in accepted.items() if id not in cases]
    if lost:
        found.append(f"I1: {len(lost)} accepted and no case, such as {lost[0]}")
    if len(set(accepted.values())) != len(accepted):
        found.append("I2: two keys were told the same case")
    if len(feedback) > tried or set(cases) != set(feedback):
        found.append(f"I3: {len(feedback)} feedback and {len(cases)} cases of {tried} requests")


def _outboxes(found: Findings, rows: Rows) -> None:
    for service in SERVICES:
        ((waiting,),) = rows(service, "SELECT count(*) FROM _outbox")
        if waiting:
            found.append(f"I4: {waiting} events wait in the outbox of {service}")


def _log(
    found: Findings, events: Any, emitters: dict[str, Any], in_order: bool
) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """The first occurrence of every event, in the order of the log; checks I5 and I6."""
    places: dict[str, set[int]] = {}
    sequences: dict[tuple[str, str], list[int]] = {}
    first = []
    for partition, _, key, headers, value in events:
        places.setdefault(key, set()).add(partition)
        numbers = sequences.setdefault((headers["ce_source"], headers["ce_subject"]), [])
        if (sequence := int(headers["ce_sequence"])) not in numbers:
            numbers.append(sequence)
            first.append((key, headers, value))
    if any(len(partitions) > 1 for partitions in places.values()):
        found.append("I6: a case is in two partitions")
    for (source, id), numbers in sequences.items():
        if in_order and numbers != sorted(numbers):
            found.append(f"I6: the events of {source}/{id} lie in the order {numbers}")
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            found.append(f"I5: of {source}/{id} the log has only the events {sorted(numbers)}")
    for source, documents in emitters.items():
        for id, body in documents.items():
            if len(sequences.get((source, id), [])) != body["sequence"]:
                found.append(f"I5: {source}/{id} emitted {body['sequence']} events, the log has other ones")
        phantoms = [id for (s, id) in sequences if s == source and id not in documents and id != "organisation"]
        if phantoms:
            found.append(f"I5: the log has events of {phantoms[0]}, which {source} does not know")
    return first


def _folds(found: Findings, rows: Rows, first: Any, cases: Any) -> None:
    """I7: every service has a case as the last event of it says; and every word of a citizen had one effect."""
    views, counted = _documents(rows, "intake", "views"), _documents(rows, "analytics", "cases")
    last: dict[str, tuple[int, dict[str, Any]]] = {}
    said: Counter[str] = Counter()
    heard: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for key, headers, value in first:
        kind, sequence = headers["ce_type"], int(headers["ce_sequence"])
        if kind.startswith("case."):
            if sequence > last.get(key, (0, {}))[0]:
                last[key] = (sequence, {"state": value["to"], "department": value["department"]})
            heard[key] += (kind, value.get("cause")) in HEARD or (kind, None) in HEARD
            told[key] += kind in SPOKEN and value.get("text") is not None
        elif kind.startswith("feedback.") and kind != "feedback.received":
            said[key] += 1
    for id, (_, expected) in last.items():
        for name, documents in (("routing", cases), ("intake", views), ("analytics", counted)):
            body = documents.get(id, {})
            if {field: body.get(field) for field in expected} != expected:
                found.append(f"I7: {name} has {id} otherwise than the log")
        if said[id] != heard[id]:
            found.append(f"I7: {said[id]} words of the citizen of {id} had {heard[id]} effects")
        if told[id] != len(views.get(id, {}).get("messages", ())):
            found.append(f"I7: the citizen of {id} was told {told[id]} things and sees others")


def _moves(found: Findings, first: Any) -> None:
    """I10 and I19: every timer fired once, every step is one that the state allows, and what was closed was answered."""
    fired: Counter[tuple[str, str, int]] = Counter()
    replied: set[str] = set()
    state: dict[str, str] = {}
    for key, _, value in sorted((event for event in first if event[1]["ce_type"].startswith("case.")), key=_sequence):
        if value["from"] != state.get(key, "received"):
            found.append(f"I19: {key} went from {value['from']} while it was {state.get(key, 'received')}")
        if value["to"] != value["from"] and value["to"] not in STEPS[value["from"]]:
            found.append(f"I19: {key} went from {value['from']} to {value['to']}")
        state[key] = value["to"]
        if value.get("text") is not None and value["to"] in ("answered", "closed"):
            replied.add(key)
        if value["to"] == "closed" and key not in replied:
            found.append(f"I19: {key} is closed, and nobody has said why")
        if "timer" in value:
            fired[key, value["timer"], value["revision"]] += 1
    found.extend(f"I10: {timer} of {key} fired {n} times" for (key, timer, _), n in fired.items() if n > 1)


def _sequence(event: Any) -> int:
    return int(event[1]["ce_sequence"])


def _conserved(found: Findings, rows: Rows, first: Any) -> None:
    """I20: what the log says each department has is open, closed or withdrawn, and so is everything that was received."""
    received = Counter(headers["ce_type"] for _, headers, _ in first)["feedback.received"]
    owner = {
        key: value["department"]
        for key, headers, value in sorted(first, key=_sequence)
        if headers["ce_type"].startswith("case.")
    }
    had: Counter[str] = Counter()
    for body in _documents(rows, "analytics", "cases").values():
        if body["state"] in STEPS and body["state"] != "received":
            had[body["department"]] += 1
    if had != Counter(owner.values()):
        found.append(f"I20: by department {dict(had)} are open or ended, the log has {dict(Counter(owner.values()))}")
    if had.total() != received:
        found.append(f"I20: {received} were received, {had.total()} are open or ended")


def _keys(found: Findings, feedback: Any) -> None:
    names = Counter(body["text"]["key"] for body in feedback.values())
    found.extend(f"two cases share the key {name}" for name, n in names.items() if n > 1)


def _figures(found: Findings, rows: Rows, cases: Any) -> None:
    sums: Counter[tuple[str, str]] = Counter()
    for body in _documents(rows, "analytics", "deltas").values():
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
