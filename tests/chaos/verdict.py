"""What the clients were told against what is there: through HTTP while it runs, and in its files when it has stopped.

Nothing here comes from the product. The files are judged by `tests/support/checker.py`; here are the clients' side of it,
the letters, and what only a running process can be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.chaos.crowd import MARK, SENDER
from tests.chaos.history import Call, History
from tests.support.checker import SERVICES, check_folder, rows_of
from tests.support.http import calling, operating
from tests.support.town import Town, moment

AT_ONCE = 8
"""Requests under way while the cases are looked up."""

EVENTS = {
    "acceptance": "case.accepted",
    "start": "case.started",
    "return": "case.returned",
    "reassignment": "case.routed",
    "question": "case.awaiting-citizen",
    "resumption": "case.resumed",
    "answer": "case.answered",
    "closure": "case.closed",
    "note": "case.noted",
    "messages": "feedback.supplemented",
    "rating": "feedback.rated",
}
"""A call → the event it leaves in the log."""

LETTERS = {
    "feedback.received": "acknowledgement",
    "case.awaiting-citizen": "question",
    "case.answered": "answer",
    "case.closed": "closing",
}
"""An event → the letter that a citizen with an address gets because of it."""


@dataclass
class Verdict:
    """`lost`: calls that were told ok and are not there. `twice`: calls with more effects than one."""

    findings: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)

    def says(self, calls: Iterable[Call], of: set[str], what: str) -> None:
        """One finding for all of them, with an example."""
        keys = [call.key for call in calls]
        of.update(keys)
        if keys:
            self.findings.append(f"{what}: {len(keys)}, such as {keys[0]}")


async def ask(verdict: Verdict, town: Town, history: History) -> None:
    """Every receipt opens its case, every word stands there once, the total is right, and a rebuild changes nothing."""
    submissions = [call for call in history.of("submit") if call.accepted]
    verdict.says(
        (c for c in submissions if any(t != c.told[0] for t in c.told)), verdict.twice, "I2: told two receipts"
    )
    gate = asyncio.Semaphore(AT_ONCE)
    async with calling(town.address) as client:

        async def seen(call: Call) -> dict[str, Any] | None:
            receipt = call.told[0]
            headers = {"Authorization": f"Code {receipt['code']}"}
            async with gate:
                answer = await client.get(f"/v1/feedback/{receipt['number']}", headers=headers)
            found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
            return found

        cases = dict(zip(submissions, await asyncio.gather(*map(seen, submissions)), strict=True))
        verdict.says((c for c, case in cases.items() if case is None), verdict.lost, "I1: a receipt opens nothing")
        verdict.says(
            (c for c, case in cases.items() if case and case["state"] == "received"),
            verdict.lost, "I1: accepted, and routing has no case",
        )  # fmt: skip
        _words(verdict, history, {c.told[0]["id"]: case for c, case in cases.items() if case})
    _total(verdict, history, await town.figures())
    _waiting(verdict, await town.metrics())
    await _rebuilt(verdict, town)


def _words(verdict: Verdict, history: History, cases: dict[str, dict[str, Any]]) -> None:
    """Each text is its own: how often does it stand in the case?"""
    said = Counter((id, message["text"]) for id, case in cases.items() for message in case["messages"])
    calls = [
        c for c in history.of("messages", "move") if c.about.get("call", "answer") in ("answer", "question", "closure")
    ]
    calls = [c for c in calls if c.about["case"] in cases]
    times = {c.key: said[c.about["case"], c.about["text"]] for c in calls}
    verdict.says((c for c in calls if c.accepted and not times[c.key]), verdict.lost, "I1: words that were accepted")
    verdict.says((c for c in calls if times[c.key] > 1), verdict.twice, "I2: words that stand there twice")
    refused = [c for c in calls if not c.accepted and not c.open]
    verdict.says((c for c in refused if times[c.key]), set(), "I3: words that were refused stand there")


def _total(verdict: Verdict, history: History, summary: dict[str, Any]) -> None:
    accepted = sum(call.accepted for call in history.of("submit"))
    possible = accepted + sum(call.open for call in history.of("submit"))
    if not accepted <= summary["total"] <= possible:
        verdict.findings.append(f"I8: the total is {summary['total']}, accepted were {accepted} to {possible}")
    states = summary["by"]["state"]
    ended = states.get("closed", 0) + states.get("withdrawn", 0)
    if summary["open"] + ended != summary["total"] or any(
        sum(cells.values()) != summary["total"] for cells in summary["by"].values()
    ):
        verdict.findings.append(f"I20: the figures do not add up: {summary}")


def _waiting(verdict: Verdict, metrics: str) -> None:
    """I4: by their own account nothing waits in the outboxes, and nothing has waited for any time."""
    told = re.findall(r'^huiyin_outbox_(?:size|age_seconds)\{service="(\w+)"\} (\S+)$', metrics, re.MULTILINE)
    if {service for service, _ in told} != set(SERVICES) or any(float(value) for _, value in told):
        verdict.findings.append(f"I4: the outboxes tell of {told}")


async def _rebuilt(verdict: Verdict, town: Town) -> None:
    for service in SERVICES:
        async with operating(town.socket_of(service), timeout=120) as operator:
            before = (await operator.get(f"/control/dump/{service}")).content
            await operator.post(f"/control/rebuild/{service}")
            if (await operator.get(f"/control/dump/{service}")).content != before:
                verdict.findings.append(f"I15: {service} is another one after a rebuild")


def read(verdict: Verdict, data: Path, history: History) -> None:
    """What the files of the stopped process say."""
    submissions = list(history.of("submit"))
    accepted = {call.key: call.told[0]["id"] for call in submissions if call.accepted}
    possible = len(accepted) + sum(call.open for call in submissions)
    verdict.findings += check_folder(data, accepted, possible, (MARK, SENDER))
    log = [
        (key, json.loads(headers), json.loads(value))
        for key, headers, value in rows_of(data)(
            "log", "SELECT key, headers, value FROM log ORDER BY partition, offset"
        )
    ]
    first = {(h["ce_source"], h["ce_subject"], int(h["ce_sequence"])): (k, h, v) for k, h, v in reversed(log)}
    _effects(verdict, history, list(first.values()))
    _letters(verdict, data, list(first.values()))
    _leftovers(verdict, data)


def _effects(verdict: Verdict, history: History, events: list[tuple[str, dict[str, str], dict[str, Any]]]) -> None:
    """Each move and rating that was accepted left its event, and no event is nobody's."""
    at = {(key, int(h["ce_sequence"])): h["ce_type"] for key, h, _ in events if h["ce_source"] == "/routing"}
    moves = list(history.of("move"))

    def there(call: Call) -> bool:
        steps = range(call.about["version"] + 1, call.told[0]["version"] + 1)
        return EVENTS[call.about["call"]] in {at.get((call.about["case"], step)) for step in steps}

    verdict.says((c for c in moves if c.accepted and not there(c)), verdict.lost, "I1: moves that were accepted")
    winners = Counter((c.about["case"], c.about["version"]) for c in moves if c.accepted)
    double = [c for c in moves if c.accepted and winners[c.about["case"], c.about["version"]] > 1]
    verdict.says(double, verdict.twice, "I2: two moves were told to have won one version")
    found = Counter(
        (key, h["ce_type"]) for key, h, v in events if v.get("actor", {}).get("kind") in ("staff", "citizen")
    )
    sure, possible = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for call in history.of("move", "messages", "rating"):
        kind = call.about["case"], EVENTS[call.about.get("call", call.op)]
        sure[kind] += call.accepted
        possible[kind] += call.accepted or call.open
    for kind, n in sure.items():
        if kind[1] in ("case.resumed", "case.closed", "case.accepted"):
            continue  # a citizen's word, or two people at once, may bring these about as well
        if not n <= found[kind] <= possible[kind]:
            verdict.findings.append(f"I2: {found[kind]} × {kind[1]} of {kind[0]}, {n} to {possible[kind]} were wanted")


def _letters(verdict: Verdict, data: Path, events: list[tuple[str, dict[str, str], dict[str, Any]]]) -> None:
    """I9: for each thing that a citizen with an address is to be told one letter, sent, and in the folder once."""
    documents = {id: json.loads(body) for id, body in rows_of(data)("notify", "SELECT id, body FROM deliveries")}
    reachable = {k for k, h, v in events if h["ce_type"] == "feedback.received" and "email" in v["contact_kinds"]}
    wanted = Counter(
        (key, h["ce_id"], LETTERS[h["ce_type"]]) for key, h, _ in events if key in reachable and h["ce_type"] in LETTERS
    )
    deliveries = [(id, d) for id, body in documents.items() for d in body["deliveries"]]
    got = Counter((id, d["cause"], d["kind"]) for id, d in deliveries if d["recipient_role"] == "citizen")
    for name, difference in (("no letter", wanted - got), ("an unwanted or second letter", got - wanted)):
        if difference:
            verdict.findings.append(f"I9: {difference.total()} × {name}, such as {next(iter(difference))}")
    unsent = [d["id"] for _, d in deliveries if d["progress"]["state"] != "sent"]
    if unsent:
        verdict.findings.append(f"I9: {len(unsent)} letters are not sent, such as {unsent[0]}")
    digests = [(id, json.loads(body)) for id, body in rows_of(data)("notify", "SELECT id, body FROM digests")]
    carried = Counter(entry["delivery"] for _, digest in digests for entry in digest["entries"])
    if carried != Counter(d["id"] for _, d in deliveries if d["digest"]):
        verdict.findings.append("I9: a digest carries what another one carries, or nothing that wants it")
    expected = Counter(d["id"] for _, d in deliveries if not d["digest"])
    expected.update(f"digest-{hashlib.sha256(id.encode()).hexdigest()[:32]}" for id, _ in digests)
    lying = Counter(path.name for folder in ("new", "cur") for path in (data / "mail" / folder).glob("*"))
    if lying != expected:
        verdict.findings.append(f"I9: {lying.total()} letters lie in the folder, {expected.total()} were to be sent")


def _leftovers(verdict: Verdict, data: Path) -> None:
    """I10: nothing is overdue; I12 and I13: everything was read, and nothing was put aside."""
    rows = rows_of(data)
    ((late,),) = rows("routing", f"SELECT count(*) FROM cases WHERE due < '{moment(-5)}'")
    if late:
        verdict.findings.append(f"I10: {late} timers are overdue")
    for service in SERVICES:
        ((letters,),) = rows(service, 'SELECT count(*) FROM "dead-letters"')
        if letters:
            verdict.findings.append(f"I13: {letters} dead letters of {service}")
    ends: dict[int, int] = dict(rows("log", "SELECT partition, max(offset) + 1 FROM log GROUP BY partition"))
    read: dict[str, dict[int, int]] = defaultdict(dict)
    for consumer, partition, following in rows("log", "SELECT consumer, partition, next FROM positions"):
        read[consumer][partition] = following
    for service in SERVICES:
        if any(read[service].get(partition, 0) != end for partition, end in ends.items()):
            verdict.findings.append(f"I12: {service} has not read to the end")


async def quiet(verdict: Verdict, town: Town, since: float, within: float) -> None:
    """Wait until nothing moves any more: five looks in a row. I18: that takes at most `within` seconds from `since`."""
    looks = 0
    while looks < 5:
        still = False
        with contextlib.suppress(httpx2.TransportError):
            still = await town.is_quiet() and not await town.is_due(30)
        looks = looks + 1 if still else 0
        if time.monotonic() - since > within:
            verdict.findings.append(f"I18: not quiet after {within:g} s")
            return
        await asyncio.sleep(0.1)
