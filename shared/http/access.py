"""Who may do what: bearer keys, roles, permissions and the departments a principal may see. Deny by default."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts

from shared.clock import Clock, Ids, rfc3339
from shared.errors import Forbidden, Misconfigured, NotAuthorised, NotDeclared, Unavailable
from shared.store.port import Collection, DocumentStore, Done, Insert

KEYS = Collection("keys", "record", unique=("hash",))
COLLECTIONS = (KEYS,)

FRESH = 5.0
"""How long, in seconds, a key may still work after it was revoked, or not yet after it was made."""

REMEMBERED = 1_000
"""Keys kept in memory, wrong ones too."""

KEY = re.compile(r"hk_([0-9A-Z]{26})_([0-9A-Z]{26})", re.ASCII)

PARAMETER = re.compile(r"\{[^}]*\}")

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
    """Who is calling. `kind` is `key` or `operator`; `id`, a key's id, may stand in events and logs."""

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
        self._known: OrderedDict[bytes, tuple[float, Principal | None]] = OrderedDict()

    async def create_key(self, role: str, departments: tuple[str, ...] = (), name: str | None = None) -> str:
        """A new bearer key, told this once; only its SHA-256 is kept. Raises `Misconfigured` for an unknown role."""
        if role not in ROLES:
            raise Misconfigured(f"there is no role {role!r}; roles: {', '.join(ROLES)}")
        id, secret = self._ids.document(), self._ids.code()
        key = f"hk_{id}_{secret}"
        body = {
            "hash": _hash(key).hex(),
            "role": role,
            "departments": list(departments),
            "name": name,
            "created_at": rfc3339(self._clock.now()),
        }
        (outcome,) = await self._store.write([Insert(KEYS.name, id, body)])
        if not isinstance(outcome, Done):
            raise Unavailable("the key could not be stored")
        return key

    async def principal(self, authorization: str | None, operator: bool = False) -> Principal | None:
        """Who an `Authorization: Bearer …` header names; None without one.

        Raises `NotAuthorised` for a bearer key that is unknown, wrong or misspelt: always the same answer.
        """
        if operator:
            return Principal("operator", "operator", "operations")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        match = KEY.fullmatch(token.strip())
        principal = await self._fresh(match[1], _hash(match[0])) if match else None
        if principal is None:
            raise NotAuthorised()
        return principal

    async def _fresh(self, id: str, hash: bytes) -> Principal | None:
        now = self._clock.monotonic()
        known = self._known.get(hash)
        if known is None or now - known[0] > FRESH:
            known = self._known[hash] = (now, await self._look_up(id, hash))
            self._known.move_to_end(hash)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known[1]

    async def _look_up(self, id: str, hash: bytes) -> Principal | None:
        found = (await self._store.get(KEYS.name, [id])).get(id)
        expected = bytes.fromhex(found.body["hash"]) if found else bytes(len(hash))
        if not hmac.compare_digest(expected, hash) or found is None:
            return None
        return Principal("key", id, found.body["role"], tuple(found.body["departments"]))


def _hash(key: str) -> bytes:
    """130 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).digest()


async def caller(request: Request) -> Principal | None:
    """A dependency: who is calling, or None. A wrong key is refused even where none is needed."""
    access: Access = request.app.state.access
    operator = bool(request.scope.get("huiyin.operator"))
    return await access.principal(request.headers.get("authorization"), operator)


@cache
def requires(permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that gives the `Principal` holding `permission`, or answers 401 or 403."""
    if permission not in PERMISSIONS:
        raise NotDeclared(f"there is no permission {permission}")

    async def permitted(request: Request) -> Principal:
        principal = await caller(request)
        if principal is None:
            raise NotAuthorised()
        if not principal.may(permission):
            raise Forbidden()
        return principal

    return permitted


PUBLIC = frozenset(
    {
        "/v1/feedback",
        "/v1/feedback/{}",
        "/v1/feedback/{}/messages",
        "/v1/feedback/{}/rating",
        "/v1/feedback/{}/reopening",
        "/v1/feedback/{}/withdrawal",
        "/v1/feedback/{}/attachments",
        "/v1/feedback/{}/erasure",
        "/v1/categories",
        "/v1/departments",
        "/v1/areas",
        "/v1/similar",
        "/v1/session",
        "/v1/insights/summary",
        "/v1/insights/series",
        "/v1/insights/rates",
        "/v1/insights/flow",
        "/v1/insights/topics",
    }
)
"""Calls that anyone may make, some with a number and its code. Every other one under `/v1` declares a permission."""


def undeclared_routes(app: FastAPI) -> list[str]:
    """The routes under `/v1` that are neither public nor depend on `requires(…)`: such an app must not start."""
    permitted = {requires(permission) for permission in PERMISSIONS}
    undeclared = []
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if not path.startswith("/v1/") or PARAMETER.sub("{}", path) in PUBLIC:
            continue
        dependant = getattr(route, "dependant", None)
        if dependant is None or not permitted & {needed.call for needed in dependant.dependencies}:
            undeclared.append(path)
    return undeclared
