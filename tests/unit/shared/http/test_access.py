"""Who may do what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI

from shared.clock import SystemIds
from shared.errors import Misconfigured, NotAuthorised, NotDeclared
from shared.http.access import (
    COLLECTIONS,
    FRESH,
    KEYS,
    PERMISSIONS,
    REMEMBERED,
    ROLES,
    Access,
    Principal,
    Scope,
    operated,
    requires,
    undeclared_routes,
)
from shared.http.sessions import page_requires
from shared.store.port import Delete, Query
from shared.store.sqlite import SqliteStore
from tests.support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "access.db", COLLECTIONS, clock)
    yield store
    await store.close()


@pytest.fixture
def access(store: SqliteStore, clock: ManualClock) -> Access:
    return Access(store, SystemIds(clock), clock)


async def test_a_key_names_its_role_and_departments(access: Access) -> None:
    key = await access.create_key("case-worker", ("water",), "desk 3")
    principal = await access.principal(f"Bearer {key}")
    assert principal
    assert (principal.kind, principal.role, principal.departments) == ("key", "case-worker", ("water",))
    assert principal.scope == Scope(everything=False, departments=frozenset({"water"}))
    assert await access.principal(f"bearer {key}") == principal


async def test_only_a_digest_of_a_key_is_stored(access: Access, store: SqliteStore) -> None:
    key = await access.create_key("analyst")
    (document,) = (await store.find(KEYS.name, Query())).documents
    assert key.rpartition("_")[2] not in str(document)
    assert key.startswith(f"hk_{document.id}_")


async def test_an_unknown_role_is_refused_by_name(access: Access) -> None:
    with pytest.raises(Misconfigured, match="case-worker"):
        await access.create_key("king")


@pytest.mark.row("A33")
async def test_every_wrong_key_gets_the_same_answer(access: Access) -> None:
    key = await access.create_key("supervisor")
    _, id, secret = key.split("_")
    wrong = [
        "", "x", "hk_", f"hk_{id}_", f"hk_{id}_{'0' * 26}", f"hk_{'0' * 26}_{secret}", key + "0", key.lower(), key[:-1],
        "密钥", "hk_\xe9_\xff", "\ud800", f"{key} {key}", "x" * 10_000,
    ]  # fmt: skip
    for token in wrong:
        with pytest.raises(NotAuthorised) as refused:
            await access.principal(f"Bearer {token}")
        assert str(refused.value) == str(NotAuthorised())


@pytest.mark.parametrize("header", [None, "", "Code ABC", "Basic eDp5", "hk_x_y"])
async def test_other_schemes_name_nobody(access: Access, header: str | None) -> None:
    assert await access.principal(header) is None


async def test_a_revoked_key_works_no_longer_than_five_seconds(
    access: Access, store: SqliteStore, clock: ManualClock
) -> None:
    key = await access.create_key("supervisor")
    assert await access.principal(f"Bearer {key}")
    (document,) = (await store.find(KEYS.name, Query())).documents
    await store.write([Delete(KEYS.name, document.id, document.revision)])
    clock.advance(FRESH + 0.1)
    with pytest.raises(NotAuthorised):
        await access.principal(f"Bearer {key}")


async def test_guessing_keys_fills_no_memory(access: Access, clock: ManualClock) -> None:
    ids = SystemIds(clock)
    for _ in range(REMEMBERED + 50):
        with pytest.raises(NotAuthorised):
            await access.principal(f"Bearer hk_{ids.document()}_{ids.code()}")
    assert len(access.keys.known) == REMEMBERED


async def test_whoever_opens_the_control_socket_operates_but_reads_no_case(access: Access) -> None:
    operator = await access.principal(None, operator=True)
    assert operator
    assert operator.may("operate")
    assert operator.may("feedback.import")
    assert not operator.may("cases.read")


def test_nobody_but_these_reads_or_works_on_cases() -> None:
    readers = {role for role in ROLES if Principal("key", "k", role).may("cases.read")}
    assert readers == {"case-worker", "department-lead", "phone-operator", "supervisor"}
    assert {role for role in ROLES if Principal("key", "k", role).may("cases.work")} < readers
    assert all(roles <= set(ROLES) for roles in PERMISSIONS.values())


def test_only_roles_without_departments_see_every_department() -> None:
    assert not Principal("key", "k", "case-worker").scope.everything
    assert Principal("key", "k", "supervisor", ("water",)).scope.everything


def test_a_permission_that_does_not_exist_cannot_be_required() -> None:
    with pytest.raises(NotDeclared):
        requires("cases.reed")


@pytest.mark.row("A27")
def test_a_route_of_the_contract_without_a_permission_is_found() -> None:
    routes = APIRouter(prefix="/v1")
    inner = APIRouter(prefix="/cases")
    guarded = APIRouter(prefix="/deliveries", dependencies=[Depends(requires("deliveries.read"))])

    @inner.get("/forgotten")
    async def forgotten() -> None: ...

    @inner.get("/declared")
    async def declared(principal: Annotated[Principal, Depends(requires("cases.read"))]) -> None: ...

    @guarded.get("/{id}")
    async def by_router(id: str) -> None: ...

    @routes.get("/feedback/{number}")
    async def public(number: str) -> None: ...

    routes.include_router(inner)
    routes.include_router(guarded)
    app = FastAPI()
    app.include_router(routes)
    assert undeclared_routes(app) == ["/v1/cases/forgotten"]


@pytest.mark.row("A27")
def test_a_page_or_an_operators_call_without_a_permission_is_found() -> None:
    routes = APIRouter()

    @routes.get("/desk/forgotten")
    async def forgotten() -> None: ...

    @routes.get("/desk")
    async def declared(principal: Annotated[Principal, Depends(page_requires("cases.read"))]) -> None: ...

    @routes.post("/sign-in")
    async def public() -> None: ...

    @routes.get("/sign-in/anything-else")
    async def beside() -> None: ...

    @routes.get("/control/forgotten")
    async def control() -> None: ...

    @routes.get("/control/lag", dependencies=[Depends(operated)])
    async def lag() -> None: ...

    @routes.get("/desktop")
    async def elsewhere() -> None: ...

    app = FastAPI()
    app.include_router(routes)
    assert undeclared_routes(app) == ["/desk/forgotten", "/sign-in/anything-else", "/control/forgotten"]
