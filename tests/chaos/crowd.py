"""Citizens and staff who call at their own pace, whether or not anybody answers."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import httpx2

from tests.chaos.history import Call, History, Outcome

PATIENCE = 8.0
"""Seconds after which a client takes an answer for lost: longer than the store's own limit, longer than a pause."""

REPEATS = 4
"""How often a call of unknown outcome is sent again under its key while the faults go on."""

SENTENCES = (
    "小区停水了，水管爆裂",
    "The street lamp on Peace Road is broken",
    "公交车总是晚点",
    "Rubbish lies in the yard",
    "嗯",
)
CALLS: dict[str, tuple[str, ...]] = {
    "triage": ("reassignment", "note"),
    "routed": ("acceptance", "acceptance", "return", "note"),
    "returned": ("reassignment",),
    "accepted": ("start", "question", "answer", "note"),
    "in-progress": ("question", "answer", "note"),
    "awaiting-citizen": ("resumption", "note"),
    "answered": ("closure", "note"),
}
"""State → what staff try there; a state that moved on meanwhile makes it a refusal, which is an outcome too."""

MARK, SENDER = "哨兵", "sentinel"
"""What every text, and every address, contains: values that may stand nowhere readable."""


class Crowd:
    """The clients of one run."""

    def __init__(self, address: str, staff: dict[str, str], history: History, chance: random.Random) -> None:
        self._address = address
        self._client = self._connected()
        self._staff, self._history, self._chance = staff, history, chance
        self._receipts: list[dict[str, Any]] = []
        self._calling: set[asyncio.Task[None]] = set()
        self._number = itertools.count()

    async def call(self, seconds: float, rate: float) -> None:
        """An open loop: call number n is due at n / `rate`, whatever became of the others. May be cancelled: then what
        is under way goes on."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for n in itertools.count():
            if n >= seconds * rate:
                return
            await asyncio.sleep(max(0.0, start + n / rate - loop.time()))
            task = asyncio.create_task(self._one(next(self._number)))
            self._calling.add(task)
            task.add_done_callback(self._calling.discard)

    async def settle(self) -> None:
        """Wait for what is under way, then ask again about every submission whose outcome is not known."""
        await asyncio.gather(*self._calling)
        for call in list(self._history.of("submit")):
            if call.open:
                await self._submit(call.key, call.about, REPEATS)

    async def hang_up(self) -> None:
        """Wait for what is under way, and leave no connection open. Whoever calls again connects anew."""
        await asyncio.gather(*self._calling)
        await self._client.aclose()
        self._client = self._connected()

    def _connected(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self._address, timeout=PATIENCE, trust_env=False, limits=httpx2.Limits(max_connections=200)
        )

    async def _one(self, n: int) -> None:
        draw = self._chance.random()
        if draw < 0.4 or not self._receipts:
            about: dict[str, Any] = {"text": f"{self._chance.choice(SENTENCES)} {MARK}{n:05d}"}
            if self._chance.random() < 0.7:
                about["contact"] = {"email": f"{SENDER}{n:05d}@example.org"}
            await self._submit(f"submit-{n:05d}", about, REPEATS)
            return
        receipt = self._chance.choice(self._receipts)
        if draw < 0.55:
            await self._word(f"message-{n:05d}", receipt, "messages", {"text": f"再补充一点 {MARK}{n:05d}"})
        elif draw < 0.65:
            verdict = {"solved": self._chance.random() < 0.5, "satisfaction": self._chance.randint(1, 5)}
            await self._word(f"rating-{n:05d}", receipt, "rating", verdict)
        else:
            await self._move(n, receipt)

    async def _submit(self, key: str, about: dict[str, Any], repeats: int) -> None:
        headers = {"Idempotency-Key": key}
        told = await self._repeated(key, "submit", about, repeats, "/v1/feedback", headers, about)
        if told is not None:
            self._receipts.append(told)

    async def _word(self, key: str, receipt: dict[str, Any], call: str, body: dict[str, Any]) -> None:
        headers = {"Authorization": f"Code {receipt['code']}", "Idempotency-Key": key}
        about = {"case": receipt["id"], "number": receipt["number"], **body}
        path = f"/v1/feedback/{receipt['number']}/{call}"
        await self._repeated(key, call, about, REPEATS, path, headers, body)

    async def _move(self, n: int, receipt: dict[str, Any]) -> None:
        path = f"/v1/cases/{receipt['number']}"
        try:
            seen = await self._client.get(path, headers=self._staff)
        except httpx2.TransportError:
            return
        if seen.status_code != 200 or seen.json()["state"] not in CALLS:
            return
        case = seen.json()
        call = self._chance.choice(CALLS[case["state"]])
        body: dict[str, Any] = {}
        if call in ("question", "answer", "closure", "note"):
            body = {"text": f"我们去看看 {MARK}{n:05d}"}
        elif call == "return":
            body = {"reason_code": "not-ours"}
        elif call == "reassignment":
            body = {"department": "water"}
        about = {"case": receipt["id"], "number": receipt["number"], "call": call, "version": case["version"], **body}
        headers = self._staff | {"If-Match": f'"{case["version"]}"'}
        await self._repeated(f"move-{n:05d}", "move", about, 0, f"{path}/{call}", headers, body)

    async def _repeated(
        self,
        key: str,
        op: str,
        about: dict[str, Any],
        repeats: int,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any],
    ) -> dict[str, Any] | None:
        """Send it, and again while the outcome is unknown; what was told with an ok."""
        for turn in range(repeats + 1):
            call = self._history.begins(key, op, about)
            outcome, told = await self._sent(call, path, headers, body)
            if outcome == "ok":
                return told
            if outcome == "fail" or turn == repeats:
                return None
            await asyncio.sleep(self._chance.uniform(0.3, 2.0))
        return None

    async def _sent(
        self, call: Call, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[Outcome, dict[str, Any]]:
        outcome: Outcome
        told: dict[str, Any] = {}
        try:
            answer = await self._client.post(path, json=body, headers=headers)
        except httpx2.ConnectError as error:
            outcome, why = "fail", type(error).__name__
        except httpx2.TransportError as error:
            outcome, why = "unknown", type(error).__name__
        else:
            why = str(answer.status_code)
            outcome = "ok" if answer.is_success else "fail" if answer.is_client_error else "unknown"
            if outcome == "ok" and answer.content:
                told = answer.json()
                told.pop("links", None)
        self._history.ends(call, outcome, told, why)
        return outcome, told
