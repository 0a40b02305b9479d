"""The gateway that is deployed, in front of processes of this machine, in the place of the tests' own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from deploy.native.node import answers, free_ports, turns
from tests.support.tools import ROOT, tool

CONFIGURATION = ROOT / "deploy" / "gateway" / "haproxy.cfg"


class Haproxy:
    """Serves with the file that is deployed; it is told where the services are by its environment.

    Replicas are found by name where it is deployed. Here they have no names, so their lines are written out.
    """

    def __init__(self, log: Path) -> None:
        self.program = tool("haproxy", fetched="apt-get install haproxy")
        self.log = log
        self.port, self.operators = free_ports(2)
        self._running: subprocess.Popen[bytes] | None = None

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address; it answers as soon as it knows where the services are."""
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            self._end()

    @property
    def addresses(self) -> Mapping[str, Sequence[str]]:
        raise AttributeError("only told, never asked")

    @addresses.setter
    def addresses(self, found: Mapping[str, Sequence[str]]) -> None:
        self._end()
        told = {
            "SLOTS": "1",
            "HUIYIN_BIND": f"127.0.0.1:{self.port}",
            "HUIYIN_OPERATORS_BIND": f"127.0.0.1:{self.operators}",
        }
        for service, (address, *_) in found.items():
            told[service.upper()] = urlsplit(address).netloc
            told[f"{service.upper()}_OPERATIONS"] = str(urlsplit(address).port)  # `/ready` is on both ports
        file = CONFIGURATION if all(len(some) == 1 for some in found.values()) else self._written_out(found)
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                [self.program, "-db", "-f", file], env=os.environ | told, stdout=log, stderr=log
            )
        if not any(answers(self.port) for _ in turns(10)):
            raise AssertionError(self.log.read_text())

    def _written_out(self, found: Mapping[str, Sequence[str]]) -> Path:
        text = CONFIGURATION.read_text(encoding="utf-8")
        for service, addresses in found.items():
            lines = [f"    server {service}-{n} {urlsplit(at).netloc} check" for n, at in enumerate(addresses, 1)]
            text = re.sub(rf"    server-template {service}- .*", "\n".join(lines), text)
        shutil.copy(CONFIGURATION.with_name("owners.map"), self.log.parent)
        file = self.log.with_name("haproxy.cfg")
        file.write_text(text, encoding="utf-8")
        return file

    def _end(self) -> None:
        if self._running:
            self._running.kill()
            self._running.wait()
            self._running = None
