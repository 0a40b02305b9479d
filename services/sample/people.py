"""Whom the sample lets in: the administrator, a department's lead and one of its case workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from shared.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Guest:
    """Someone to sign in as. They get the work numbers 101, 102, 103, which stand in the script."""

    described: str
    name: str
    role: str
    departments: tuple[str, ...] = ()


GUESTS = (
    Guest("the administrator", "admin", "admin"),
    Guest("a department lead", "lead", "department-lead", ("urban-management",)),
    Guest("a case worker", "worker", "case-worker", ("lighting",)),
)


async def sign_in_links(client: httpx2.AsyncClient) -> Sequence[str]:
    """A line for each with a new one-time link; those who are there already stay who they are."""
    lines = []
    for guest in GUESTS:
        wanted = {"name": guest.name, "role": guest.role, "departments": guest.departments}
        answer = await client.post("/control/users", json=wanted)
        if answer.status_code == 422:
            answer = await client.post("/control/users/link", json={"name": guest.name})
        if answer.status_code != 200:
            raise Misconfigured(f"{guest.described} of the sample could not be let in: status {answer.status_code}")
        lines.append(f"  sign in once as {guest.described:18} {answer.json()['link']}")
    return lines
