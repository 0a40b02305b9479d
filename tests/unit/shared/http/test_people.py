"""People: names, numbers, links, passwords, and what may be changed by whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.clock import SystemIds
from shared.errors import Forbidden, Invalid, NotFound
from shared.http.access import COLLECTIONS, Access, Principal
from shared.http.people import LINK_DAYS, PEOPLE, Person
from shared.http.visits import SESSIONS
from shared.store.port import Query
from shared.store.sqlite import SqliteStore
from tests.support.clock import ManualClock

PASSWORD = "correct horse battery"
OPERATOR = Principal("operator", "operator", "operations")
DAY = 86_400


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


def codes(refused: pytest.ExceptionInfo[Invalid]) -> dict[str, str]:
    return {error.location: error.code for error in refused.value.errors}


async def joined(access: Access, name: str, role: str = "admin", *departments: str) -> Person:
    _, token = await access.people.add(name, role, departments)
    return await access.people.redeem(token, PASSWORD)


async def test_work_numbers_are_given_in_order_and_once(access: Access) -> None:
    added = await asyncio.gather(*(access.people.add(f"person{n}", "case-worker") for n in range(8)))
    assert sorted(person.number for person, _ in added) == [str(number) for number in range(101, 109)]
    await access.people.disable("108", OPERATOR)
    person, _ = await access.people.add("another", "case-worker")
    assert person.number == "109"
    assert [p.number for p in await access.people.everyone()] == [str(number) for number in range(101, 110)]


@pytest.mark.parametrize("again", ["wang.fang", " WANG.Fang ", "ｗａｎｇ.fang"])
async def test_a_name_is_taken_once_however_it_is_written(access: Access, again: str) -> None:
    await access.people.add("wang.fang", "case-worker")
    with pytest.raises(Invalid) as refused:
        await access.people.add(again, "case-worker")
    assert codes(refused) == {"/name": "taken"}


@pytest.mark.parametrize("name", ["", "x", "a b", "x" * 65, "a/b", "<b>", "a\nb", "\u202eabc"])
async def test_a_name_that_cannot_be_one_is_refused(access: Access, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        await access.people.add(name, "king")
    assert codes(refused) == {"/name": "invalid", "/role": "unknown"}


async def test_names_may_be_chinese(access: Access) -> None:
    person = await joined(access, "王芳", "case-worker")
    assert await access.people.verified("王芳", PASSWORD) == person


async def test_a_link_is_used_once_and_looking_does_not_use_it(access: Access) -> None:
    person, token = await access.people.add("li", "case-worker")
    assert await access.people.by_link(token) == person
    assert await access.people.by_link(token) == person
    await access.people.redeem(token, PASSWORD)
    assert await access.people.by_link(token) is None
    with pytest.raises(NotFound):
        await access.people.redeem(token, "another password")
    assert await access.people.verified("li", PASSWORD)


async def test_of_many_who_use_a_link_at_once_one_chooses_the_password(access: Access) -> None:
    _, token = await access.people.add("li", "case-worker")
    passwords = [f"{PASSWORD} {n}" for n in range(4)]
    done = await asyncio.gather(*(access.people.redeem(token, p) for p in passwords), return_exceptions=True)
    assert sum(isinstance(outcome, Person) for outcome in done) == 1
    assert sum(isinstance(outcome, NotFound) for outcome in done) == 3


async def test_a_link_ends_after_seven_days_and_with_the_next_one(access: Access, clock: ManualClock) -> None:
    person, first = await access.people.add("li", "case-worker")
    second = await access.people.new_link(person.number)
    assert await access.people.by_link(first) is None
    clock.advance(LINK_DAYS * DAY - 1)
    assert await access.people.by_link(second)
    clock.advance(1)
    assert await access.people.by_link(second) is None
    for wrong in ("", "x", "\ud800", second[:-1], second + "0"):
        assert await access.people.by_link(wrong) is None


async def test_a_disabled_person_has_no_link_and_no_password(access: Access) -> None:
    person = await joined(access, "li", "case-worker")
    await access.people.disable(person.number, OPERATOR)
    assert await access.people.verified("li", PASSWORD) is None
    with pytest.raises(Invalid) as refused:
        await access.people.new_link(person.number)
    assert codes(refused) == {"/person": "disabled"}
    await access.people.disable(person.number, OPERATOR, disabled=False)
    assert await access.people.verified("li", PASSWORD)


@pytest.mark.parametrize(
    ("password", "code"),
    [("", "too_short"), ("eleven char", "too_short"), ("x" * 201, "too_long"), ("Wang.Fang@Example", "is_name")],
)
async def test_a_bad_password_is_refused_and_the_link_stays(access: Access, password: str, code: str) -> None:
    _, token = await access.people.add("wang.fang@example", "case-worker")
    with pytest.raises(Invalid) as refused:
        await access.people.redeem(token, password)
    assert codes(refused) == {"/password": code}
    assert await access.people.by_link(token)


async def test_a_password_is_the_same_however_it_was_composed(access: Access) -> None:
    _, token = await access.people.add("li", "case-worker")
    await access.people.redeem(token, "Caf\u00e9 au lait, s'il")
    assert await access.people.verified("li", "Cafe\u0301 au lait, s'il")


async def test_changing_a_password_needs_the_old_one(access: Access) -> None:
    person = await joined(access, "li", "case-worker")
    with pytest.raises(Invalid) as refused:
        await access.people.choose_password(person.number, "not the password", "a new password")
    assert codes(refused) == {"/current": "wrong"}
    await access.people.choose_password(person.number, PASSWORD, "a new password")
    assert await access.people.verified("li", PASSWORD) is None
    assert await access.people.verified("li", "a new password")


@pytest.mark.row("A29")
async def test_no_secret_is_stored(access: Access, store: SqliteStore) -> None:
    person = await joined(access, "li", "case-worker")
    link = await access.people.new_link(person.number)
    token, _ = await access.sessions.begin(person)
    kept = [
        str(document.body)
        for collection in (PEOPLE, SESSIONS)
        for document in (await store.find(collection.name, Query())).documents
    ]
    assert len(kept) == 2
    assert not any(secret in body for secret in (link, token, PASSWORD) for body in kept)
    assert "$argon2id$" in kept[0]


async def test_nobody_changes_their_own_role_or_departments(access: Access) -> None:
    one, other = await joined(access, "one"), await joined(access, "other")
    for role, departments in (("case-worker", ()), ("admin", ("water",))):
        with pytest.raises(Forbidden):
            await access.people.change(one.number, one.principal(), role, departments, None)
    with pytest.raises(Forbidden):
        await access.people.disable(one.number, one.principal())
    assert (await access.people.change(one.number, one.principal(), "admin", (), "王主任")).shown == "王主任"
    assert (await access.people.change(one.number, other.principal(), "case-worker", ("water",), None)).role != "admin"


async def test_the_last_active_administrator_stays(access: Access) -> None:
    last = await joined(access, "last")
    await access.people.add("invited", "admin")
    await access.people.disable((await joined(access, "gone")).number, OPERATOR)
    for attempt in (
        access.people.disable(last.number, OPERATOR),
        access.people.change(last.number, OPERATOR, "case-worker", (), None),
    ):
        with pytest.raises(Invalid) as refused:
            await attempt
        assert codes(refused) == {"/person": "last_admin"}


async def test_of_two_administrators_who_disable_each_other_one_stays(access: Access) -> None:
    one, other = await joined(access, "one"), await joined(access, "other")
    done = await asyncio.gather(
        access.people.disable(one.number, other.principal()),
        access.people.disable(other.number, one.principal()),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in done) == ["Invalid", "Person"]
