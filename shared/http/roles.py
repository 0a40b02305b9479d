"""Who may do what: roles, permissions, and the departments whose cases someone may see. Deny by default."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = (
    "case-worker",
    "department-lead",
    "phone-operator",
    "editor",
    "supervisor",
    "analyst",
    "auditor",
    "privacy-officer",
    "operations",
    "admin",
    "integrator",
)

PERMISSIONS: dict[str, frozenset[str]] = {
    "account": frozenset(ROLES),
    "feedback.import": frozenset({"integrator", "phone-operator", "supervisor", "operations"}),
    "cases.read": frozenset({"case-worker", "department-lead", "phone-operator", "supervisor"}),
    "cases.work": frozenset({"case-worker", "department-lead", "supervisor"}),
    "cases.reassign": frozenset({"case-worker", "department-lead", "supervisor"}),
    "contact.unmask": frozenset({"case-worker", "department-lead", "phone-operator", "supervisor"}),
    "audit.read": frozenset({"auditor", "supervisor"}),
    "feedback.phone": frozenset({"phone-operator", "case-worker", "department-lead", "supervisor"}),
    "cases.import": frozenset(),
    "deliveries.read": frozenset({"case-worker", "department-lead", "supervisor", "operations"}),
    "deliveries.replay": frozenset({"supervisor", "operations"}),
    "insights.full": frozenset(ROLES),
    "people.manage": frozenset({"admin"}),
    "operate": frozenset({"operations"}),
}
"""Permission → the roles that hold it. `admin` configures and sees no case, `operations` sees no case's words.

`cases.import`, to tell of what staff and citizens did elsewhere, is the operator's alone: it speaks in their names."""

OPERATOR = frozenset(
    {"feedback.import", "cases.import", "deliveries.read", "deliveries.replay", "insights.full", "operate"}
)
"""What whoever may open `control.sock` may do."""

EVERYWHERE = frozenset({"supervisor", "operations", "auditor", "analyst", "integrator"})
"""Roles that see every department, as far as they see anything."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which departments' cases someone may see: all, or the subtrees below `departments`."""

    everything: bool
    departments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling.

    `kind` is `person`, `key` or `operator`. `id` may stand in events and logs: a person's work number, a key's id.
    `name` is what colleagues see. `language` is the one a person chose, `keys_on` whether single keys do things.
    """

    kind: str
    id: str
    role: str
    departments: tuple[str, ...] = ()
    name: str = ""
    language: str | None = None
    keys_on: bool = True

    @property
    def scope(self) -> Scope:
        """A principal without departments, whose role is bound to departments, sees nothing."""
        if self.kind == "operator" or self.role in EVERYWHERE:
            return Scope(everything=True)
        return Scope(everything=False, departments=frozenset(self.departments))

    def may(self, permission: str) -> bool:
        if self.kind == "operator":
            return permission in OPERATOR
        return self.role in PERMISSIONS[permission]
