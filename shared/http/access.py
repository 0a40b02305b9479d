"""Who may do what: bearer keys, roles, permissions and the departments a principal may see. Deny by default."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from shared.clock import Clock, Ids
from shared.errors import Forbidden, Misconfigured, NotAuthorised, Unavailable
from shared.store.port import Collection, DocumentStore, Done, Insert

KEYS = Collection("keys", "record")
COLLECTIONS = (KEYS,)

FRESH = 5.0
"""How long, in seconds, a key may still work after it was revoked, or not yet after it was made."""

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
    "feedback.import": frozenset({"integrator"}),
    "cases.read": frozenset({"case-worker", "department-lead", "phone-operator", "supervisor"}),
    "cases.work": frozenset({"case-worker", "department-lead", "supervisor"}),
    "cases.reassign": frozenset({"case-worker", "department-lead", "supervisor"}),
    "deliveries.read": frozenset({"case-worker", "department-lead", "supervisor", "operations"}),
    "deliveries.replay": frozenset({"supervisor", "operations"}),
    "insights.full": frozenset({"department-lead", "supervisor", "analyst", "auditor", "operations", "integrator"}),
    "operate": frozenset({"operations"}),
}
"""Permission → the roles that hold it. `admin` holds none of them: it configures and sees no case."""

OPERATOR = frozenset({"feedback.import", "deliveries.read", "deliveries.replay", "insights.full", "operate"})
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
    """Who is calling. `id` is a key's id: it may stand in events and logs."""

    kind: str
    id: str
    role: str
    departments: tuple[str, ...] = ()

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


class Access:
    """The `access` store: keys are made by routing's commands and read by every service."""

    def __init__(self, store: DocumentStore, ids: Ids, clock: Clock) -> None:
        self._store, self._ids, self._clock = store, ids, clock
        self._known: dict[str, tuple[float, Principal | None]] = {}

    async def create_key(self, role: str, departments: tuple[str, ...] = ()) -> str:
        """A new bearer key, told this once; only its SHA-256 is kept. Raises `Misconfigured` for an unknown role."""
        if role not in ROLES:
            raise Misconfigured(f"there is no role {role!r}; roles: {', '.join(ROLES)}")
        id, secret = self._ids.document(), self._ids.code()
        body = {"hash": _hash(secret), "role": role, "departments": list(departments)}
        (outcome,) = await self._store.write([Insert(KEYS.name, id, body)])
        if not isinstance(outcome, Done):
            raise Unavailable("the key could not be stored")
        return f"hk_{id}_{secret}"

    async def principal(self, authorization: str | None, operator: bool = False) -> Principal | None:
        """Who an `Authorization: Bearer …` header names; None without one.

        Raises `NotAuthorised` for a bearer key that is unknown, wrong or misspelt: always the same answer.
        """
        if operator:
            return Principal("operator", "operator", "operations")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        cached = self._known.get(token)
        if cached is None or self._clock.monotonic() - cached[0] > FRESH:
            if len(self._known) > 1000:
                self._known.clear()
            cached = (self._clock.monotonic(), await self._look_up(token))
            self._known[token] = cached
        if cached[1] is None:
            raise NotAuthorised()
        return cached[1]

    async def _look_up(self, token: str) -> Principal | None:
        prefix, _, rest = token.partition("_")
        id, _, secret = rest.partition("_")
        if prefix != "hk" or not token.isascii() or len(token) > 100:
            return None
        found = (await self._store.get(KEYS.name, [id])).get(id)
        expected = found.body["hash"] if found else _hash("")
        if not hmac.compare_digest(expected.encode(), _hash(secret).encode()) or found is None:
            return None
        return Principal("key", id, found.body["role"], tuple(found.body["departments"]))


def _hash(secret: str) -> str:
    """A secret of 130 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def caller(request: Request) -> Principal | None:
    """A dependency: who is calling, or None. A wrong key is refused even where none is needed."""
    access: Access = request.app.state.access
    operator = bool(request.scope.get("huiyin.operator"))
    return await access.principal(request.headers.get("authorization"), operator)


def requires(permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that gives the `Principal` holding `permission`, or answers 401 or 403."""
    if permission not in PERMISSIONS:
        raise KeyError(permission)

    async def permitted(request: Request) -> Principal:
        principal = await caller(request)
        if principal is None:
            raise NotAuthorised()
        if not principal.may(permission):
            raise Forbidden()
        return principal

    permitted.permission = permission  # type: ignore[attr-defined]  # read by the test that no route forgets one
    return permitted
