"""The desk's navigation, which pages of two services stand in: where it leads, and who sees which entry."""

from __future__ import annotations

from dataclasses import dataclass

from shared.http.roles import Principal


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the navigation: its name, where it leads, and who sees it."""

    name: str
    path: str
    permission: str


ENTRIES = (
    Entry("desk", "/desk", "cases.read"),
    Entry("phone", "/desk/phone", "feedback.phone"),
    Entry("figures", "/insights", "insights.full"),
    Entry("people", "/desk/people", "people.manage"),
)


def entries_for(principal: Principal | None) -> list[Entry]:
    """What somebody sees; nobody sees nothing."""
    return [entry for entry in ENTRIES if principal and principal.may(entry.permission)]


def own_name(principal: Principal) -> str | None:
    """The name that a person chose, if they chose one."""
    return principal.name if principal.name not in ("", principal.id) else None
