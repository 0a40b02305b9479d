"""One server process: started, found again by its pid file, stopped, paused and killed by that pid alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP = 30.0
"""Seconds a server gets to end itself before it is killed."""

FIRST_PORT, MORE_PORTS = 21_000, 8_000
"""Ports are taken from here on: below those that the system gives to clients."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and what its command begins with to be there."""

    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()


HERE = Place()
"""The loopback address of this machine."""


class NotStarted(Exception):
    """A server does not run or does not answer; the message is one line for whoever started it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A server with a folder of its own, which holds `pid`, `log` and whatever the server keeps."""

    name: str
    folder: Path
    place: Place
    port: int
    command: Sequence[str]

    @property
    def address(self) -> str:
        """As clients are told it."""
        return f"{self.place.address}:{self.port}"

    def start(self) -> None:
        """Start it unless it runs. It outlives whoever started it."""
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*self.place.within, *self.command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / "pid").write_text(str(process.pid))
        process.returncode = 0  # it is meant to outlive this object, and is found again by its pid

    @property
    def pid(self) -> int | None:
        """Of the running process; None if there is none, or its number belongs to another program by now."""
        try:
            pid = int((self.folder / "pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        ours = not words or os.fsencode(self.folder) in words  # a program that is just being loaded has none yet
        return pid if state != "Z" and ours else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    def send(self, number: signal.Signals) -> None:
        """A signal, if it runs."""
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def kill(self) -> None:
        """The end without warning."""
        self.send(signal.SIGKILL)
        self._gone(STOP)

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end, and wait for nothing."""
        self.resume()
        self.send(signal.SIGTERM)

    def stop(self) -> None:
        """The end with a word; without one after half a minute."""
        self.terminate()
        if not self._gone(STOP):
            self.kill()
        (self.folder / "pid").unlink(missing_ok=True)

    def complain(self, what: str) -> NotStarted:
        """An error with the last line that the server said."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines() if (self.folder / "log").exists() else []
        return NotStarted(f"{self.name} {what}: {lines[-1][:300] if lines else 'it said nothing'} (see {self.folder})")

    def _gone(self, within: float) -> bool:
        pid = self.pid
        for _ in turns(within):
            if pid is not None:
                with contextlib.suppress(ChildProcessError):  # a child of ours stays until its status is asked for
                    os.waitpid(pid, os.WNOHANG)
            if not self.running:
                return True
        return False


def turns(within: float) -> Iterator[None]:
    """A turn every twentieth of a second, for so many seconds; the first one at once."""
    end = time.monotonic() + within
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address on which nobody listens."""
    found: list[int] = []
    port = FIRST_PORT + secrets.randbelow(MORE_PORTS)  # whoever looks at the same time finds others
    while len(found) < count:
        port += 1
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    return found


def answers(port: int, address: str = HERE.address) -> bool:
    """Whether somebody listens on a port."""
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False
