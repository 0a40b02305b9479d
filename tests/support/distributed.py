"""An installation of several processes over the real servers, seen from outside like one of a single process."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx2

from tests.support.eventually import eventually
from tests.support.gateway import Gateway
from tests.support.haproxy import Haproxy
from tests.support.http import calling
from tests.support.servers import export, forget, is_due, kafka_url, mongo_url
from tests.support.town import DUE, HUIYIN, START, Town, mail_in

NUMBERS = itertools.count(1)


class Process:
    """One process of one service, with a data folder of its own."""

    def __init__(self, service: str, folder: Path) -> None:
        self.service = service
        self.data = folder
        self.address = ""
        self.running: subprocess.Popen[str] | None = None

    def launch(self, cwd: Path, environment: dict[str, str]) -> None:
        with (cwd / "log.txt").open("a") as log:
            self.running = subprocess.Popen(
                [HUIYIN, "serve", self.service],
                cwd=cwd,
                env=environment | {"HUIYIN_DATA": str(self.data), "HUIYIN_INSTANCE": self.data.name},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def hear(self) -> bool:
        """Wait until it says where it answers; False: it ended before."""
        assert self.running
        assert self.running.stdout
        found = re.search(r"http://\S+", self.running.stdout.readline())
        self.address = found.group() if found else ""
        return bool(found)

    def end(self, number: int | None) -> int:
        """Send a signal, if one is given, and wait for the end; the status."""
        if self.running is None:
            return 0
        if number is not None and self.running.poll() is None:
            self.running.send_signal(number)
        status = self.running.wait(START)
        if self.running.stdout:
            self.running.stdout.close()
        self.running = None
        return status

    @property
    def ended(self) -> bool:
        return self.running is not None and self.running.poll() is not None


class Distributed(Town):
    """Four processes, one of each service."""

    services: ClassVar[tuple[str, ...]] = ("intake", "routing", "notify", "analytics")

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        self.namespace = f"town-{os.getpid()}-{next(NUMBERS)}"
        del self.settings["HUIYIN_DATA"]
        self.settings |= {
            "HUIYIN_KAFKA_URL": kafka_url(),
            "HUIYIN_MONGO_URL": mongo_url(),
            "HUIYIN_NAMESPACE": self.namespace,
            "HUIYIN_KEYS": str(folder / "keys"),
            **{name: os.environ[name] for name in ("HUIYIN_MONGO_DRIVER",) if name in os.environ},
        }
        self.processes = [Process(s, folder / f"{s}-{n}") for n, s in enumerate(self.services)]
        self._gateway: Gateway | Haproxy = Gateway()
        self._open = ExitStack()

    def process_of(self, service: str) -> Process:
        """The first one of a service."""
        return next(process for process in self.processes if process.service == service)

    async def start(self, **settings: str) -> None:
        """Start the processes that do not run and wait until all are ready."""
        if not self.address:
            subprocess.run([HUIYIN, "topics", "apply"], env=self.environment, check=True, capture_output=True)
            self.address = self._open.enter_context(self._gateway.serving())
            self.settings["HUIYIN_PUBLIC_URL"] = self.address
        self.launch(**settings)
        for process in self.processes:
            if not process.address:
                assert process.hear(), f"{process.service} did not start: {self.log.read_text()[-2000:]}"
        self.show()
        await eventually(self.ready, within=60)

    async def ready(self) -> bool:
        """Whether every process says that it is."""
        return all(answer.status_code == 200 for answer in await self._answers("/ready"))

    async def metrics(self) -> str:
        return "".join(answer.text for answer in await self._answers("/metrics"))

    async def _answers(self, path: str) -> list[httpx2.Response]:
        async with calling(timeout=10) as client:
            return [await client.get(process.address + path) for process in self.processes]

    def launch(self, **settings: str) -> None:
        Town.running.add(self)
        for process in self.processes:
            if process.running is None:
                process.address = ""
                process.launch(self.folder, self.environment | settings)

    def replicas(self, service: str) -> int:
        return sum(process.service == service for process in self.processes)

    async def alone(self) -> None:
        for process in list(self.processes):
            if process is not self.process_of(process.service):
                assert await asyncio.to_thread(process.end, signal.SIGTERM) == 0
                self.processes.remove(process)
        self.show()

    def show(self) -> None:
        """Tell the gateway who answers where."""
        self._gateway.addresses = {
            service: [p.address for p in self.processes if p.service == service] for service in self.services
        }

    def gone(self) -> None:
        self._open.close()
        forget(self.namespace)

    def died(self) -> int:
        """Wait for the process that ends itself. Its replicas would too, and are ended; the others go on."""
        end = time.monotonic() + START
        while time.monotonic() < end:
            for process in self.processes:
                if process.ended:
                    for replica in self.processes:
                        if replica.service == process.service:
                            status = replica.end(signal.SIGKILL)
                    return status
            time.sleep(0.05)
        raise AssertionError("no process ended")

    def _end(self, number: int) -> int:
        for process in self.processes:
            if process.running and process.running.poll() is None:
                process.running.send_signal(number)
        status = max(abs(process.end(None)) for process in self.processes)
        Town.running.discard(self)
        return status

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """In the data folder of the process that the command is about."""
        service = next(
            (word for word in words if word in self.services), "intake" if words[0] == "import" else "routing"
        )
        self.settings["HUIYIN_DATA"] = str(self.process_of(service).data)
        return super().command(*words, check=check)

    def socket_of(self, service: str) -> str:
        return self._socket(self.process_of(service).data)

    async def quiet(self) -> None:
        """Twice in a row, for the answers are of different moments."""

        async def settled() -> bool:
            return all([await self.is_quiet() for _ in range(2)])

        await eventually(settled, within=120)

    async def is_quiet(self) -> bool:
        return all([bool((await self._asked(process, "quiet"))["quiet"]) for process in self.processes])

    async def is_due(self, seconds: float) -> bool:
        return await asyncio.to_thread(is_due, self.namespace, DUE, datetime.now(UTC) + timedelta(seconds=seconds))

    async def control(self, name: str) -> dict[str, Any]:
        """What all processes tell, together."""
        told: dict[str, Any] = {}
        for process in self.processes:
            told |= await self._asked(process, name)
        return told

    async def _asked(self, process: Process, name: str) -> dict[str, Any]:
        return await self._control(self._socket(process.data), name)

    def mail(self) -> Iterator[EmailMessage]:
        return mail_in(self.process_of("notify").data)

    async def kept(self) -> Path:
        """What the servers hold, as files like those of a single process, and the letters."""
        kept = await export(self.namespace, self.folder / "exported")
        if (mail := self.process_of("notify").data / "mail").exists():
            shutil.copytree(mail, kept / "mail")
        return kept


class Gated(Distributed):
    """Four processes behind the gateway that is deployed."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, HUIYIN_TRUSTED_PROXIES="1", **settings)
        self.haproxy = self._gateway = Haproxy(folder / "gateway.txt")

    async def start(self, **settings: str) -> None:
        """As of four processes; the gateway has seen that they are ready."""
        await super().start(**settings)

        async def seen() -> bool:
            answers = [await self.get(path) for path in ("/", "/v1/categories", "/v1/live", "/insights")]
            return all(answer.status_code != 503 for answer in answers)

        await eventually(seen, within=START)


class Doubled(Gated):
    """Five processes behind that gateway: intake has two."""

    services = ("intake", "intake", "routing", "notify", "analytics")

    async def replace(self, process: Process) -> int:
        """Stop one with a word, start its successor at the same address, and wait until that is ready; the status."""
        status = await asyncio.to_thread(process.end, signal.SIGTERM)
        port = {"HUIYIN_PORT": str(urlsplit(process.address).port), "HUIYIN_OPERATIONS_PORT": "0"}
        process.launch(self.folder, self.environment | port)
        assert await asyncio.to_thread(process.hear)

        async def ready() -> bool:
            async with calling(process.address) as client:
                return (await client.get("/ready")).status_code == 200

        await eventually(ready, within=START)
        return status


class Replicated(Distributed):
    """Five processes: routing has two."""

    services = ("intake", "routing", "routing", "notify", "analytics")
