"""Clients for processes on this machine. Nothing of the environment is believed, and nothing is made ready for TLS:
reading the certificates of the world takes longer than most requests."""

from __future__ import annotations

import httpx2

PATIENCE = 30.0
"""Seconds that an answer may take on a busy machine."""


def calling(address: str = "", timeout: float = PATIENCE) -> httpx2.AsyncClient:
    """A client for an address of this machine."""
    return httpx2.AsyncClient(base_url=address, timeout=timeout, trust_env=False, verify=False)


def operating(socket: str, timeout: float = PATIENCE) -> httpx2.AsyncClient:
    """A client for a process's operator, by the path of its socket."""
    transport = httpx2.AsyncHTTPTransport(uds=socket, verify=False, trust_env=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://control", timeout=timeout)
