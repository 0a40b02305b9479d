"""A whole installation as an outsider sees it: a process, its addresses, its mail folder, its command line."""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar

import httpx2

from tests.support.checker import rows_of
from tests.support.eventually import eventually
from tests.support.http import calling, operating

HUIYIN = Path(sys.executable).with_name("huiyin")
START = 30.0
"""Seconds a start may take on a busy machine."""


DUE = (("routing", "cases"), ("notify", "deliveries"), ("notify", "digests"))
"""A service and its collection: those with documents that wait for a moment."""


class Town:
    """One data folder and the process that serves it."""

    running: ClassVar[set[Town]] = set()
    """Those whose process has not ended: a test that fails leaves its own here."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log.txt"
        self.settings = {
            "HUIYIN_DATA": str(self.data),
            "HUIYIN_PORT": "0",
            "INTAKE_RATE": "off",
            "NOTIFY_DIGEST": "0",
            "HUIYIN_RESERVE": "4",
            **settings,
        }
        self.process: subprocess.Popen[str] | None = None
        self.address = ""
        self._keys: dict[tuple[str, str | None], str] = {}

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("HUIYIN_", "INTAKE_", "NOTIFY_"))
        }
        return kept | self.settings

    async def start(self, **settings: str) -> None:
        """Start the process and wait until it is ready."""
        self.launch(**settings)
        assert self.process
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"it did not start: {self.log.read_text()[-2000:]}"
        self.address = found.group()

        async def ready() -> bool:
            return (await self.get("/ready")).status_code == 200

        await eventually(ready, within=START)

    def launch(self, **settings: str) -> None:
        """Start the process, and wait for nothing."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [HUIYIN, "serve"],
                cwd=self.folder,
                env=self.environment | settings,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        Town.running.add(self)

    def kill(self) -> None:
        """The end without warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """The end with a word: SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def replicas(self, service: str) -> int:
        """How many processes serve a service."""
        return 1

    async def alone(self) -> None:
        """End all processes of a service but one."""

    def gone(self) -> None:
        """The end for good: what is outside its folder is removed."""

    def died(self) -> int:
        """Wait for a process that ends itself; its exit status."""
        assert self.process
        status = self.process.wait(START)
        self._close()
        return status

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(START)
        self._close()
        return status

    def _close(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()
        self.process = None
        Town.running.discard(self)

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `huiyin …` as an operator would."""
        return subprocess.run(
            [HUIYIN, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
            timeout=300,
        )

    def key(self, role: str = "supervisor", department: str | None = None) -> dict[str, str]:
        """The header of a bearer key with this role, made as `huiyin keys create` makes it."""
        wanted = (role, department)
        if wanted not in self._keys:
            body = {"role": role, "departments": [department] if department else []}
            transport = httpx2.HTTPTransport(uds=self.socket, verify=False)
            with httpx2.Client(transport=transport, base_url="http://control", timeout=30) as operator:
                self._keys[wanted] = operator.post("/control/keys", json=body).json()["key"]
        return {"Authorization": f"Bearer {self._keys[wanted]}"}

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        async with calling(self.address) as client:
            return await client.request(method, path, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> httpx2.Response:
        return await self.ask("POST", path, **options)

    async def say(self, text: str, **more: Any) -> dict[str, Any]:
        """Submit a feedback; the receipt."""
        answer = await self.post("/v1/feedback", json={"text": text, **more})
        assert answer.status_code == 201, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def case(self, number: str) -> dict[str, Any]:
        """The case as staff see it, once routing has it."""

        async def there() -> dict[str, Any] | None:
            answer = await self.get(f"/v1/cases/{number}", headers=self.key())
            return answer.json() if answer.status_code == 200 else None

        case: dict[str, Any] = await eventually(there)
        return case

    async def move(self, number: str, call: str, **body: Any) -> dict[str, Any]:
        """A staff call on the case as it stands now."""
        case = await self.case(number)
        headers = self.key() | {"If-Match": f'"{case["version"]}"'}
        answer = await self.post(f"/v1/cases/{number}/{call}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        moved: dict[str, Any] = answer.json()
        return moved

    async def track(self, receipt: dict[str, Any]) -> dict[str, Any]:
        """What the citizen sees."""
        answer = await self.get(
            f"/v1/feedback/{receipt['number']}", headers={"Authorization": f"Code {receipt['code']}"}
        )
        assert answer.status_code == 200, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    async def quiet(self) -> None:
        """Wait until every event is on the log and every service has read it."""

        await eventually(self.is_quiet, within=120)

    async def is_quiet(self) -> bool:
        """Whether at this moment nothing is under way."""
        return bool((await self.control("quiet"))["quiet"])

    async def is_due(self, seconds: float) -> bool:
        """Whether a timer or a letter waits for a moment within so many seconds; True where that cannot be seen."""
        with contextlib.suppress(sqlite3.OperationalError):
            before = moment(seconds)
            rows = rows_of(self.data)
            return any(rows(s, f"SELECT 1 FROM {c} WHERE due < '{before}' LIMIT 1") for s, c in DUE)
        return True

    async def metrics(self) -> str:
        """What every process tells of itself."""
        return (await self.get("/metrics")).text

    @property
    def socket(self) -> str:
        """The path of the operator's way in."""
        return self.socket_of("routing")

    def socket_of(self, service: str) -> str:
        """The path of the operator's way into a process of this service."""
        return self._socket(self.data)

    @staticmethod
    def _socket(data: Path) -> str:
        pointer = data / "control.path"
        return pointer.read_text() if pointer.exists() else str(data / "control.sock")

    async def lag(self) -> dict[str, Any]:
        return await self.control("lag")

    async def control(self, name: str) -> dict[str, Any]:
        """What the operator is told about the running process."""
        return await self._control(self.socket, name)

    @staticmethod
    async def _control(socket: str, name: str) -> dict[str, Any]:
        async with operating(socket) as client:
            found: dict[str, Any] = (await client.get(f"/control/{name}")).json()
            return found

    async def figures(self) -> dict[str, Any]:
        answer = await self.get("/v1/insights/summary", headers=self.key())
        assert answer.status_code == 200, answer.text
        summary: dict[str, Any] = answer.json()
        return summary

    def mail(self) -> Iterator[EmailMessage]:
        """Every message in the Maildir."""
        return mail_in(self.data)

    async def kept(self) -> Path:
        """The files that hold what the stopped installation keeps."""
        return self.data


def moment(seconds: float) -> str:
    """So many seconds from now, as documents write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def mail_in(data: Path) -> Iterator[EmailMessage]:
    """Every message in the Maildir of a data folder."""
    for file in sorted((data / "mail" / "new").glob("*")):
        message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        yield message
