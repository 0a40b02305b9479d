"""`/desk/people` and `/desk/keys`: who may sign in, and which keys there are; for administrators, who see no case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from services.routing.domain.organisation import Organisation
from services.routing.pages.frame import Frame
from shared.errors import FieldError, Forbidden, Invalid
from shared.http.access import ROLES, Access, Principal
from shared.http.people import Person, link_address
from shared.http.sessions import page_requires, posted
from shared.telemetry.logs import log

DEPARTMENT = "department."
"""What stands before a department's id in the name of its check box."""

DONE = ("saved", "disabled", "enabled", "ended", "revoked")


def router(access: Access, frame: Frame) -> APIRouter:
    """The pages of administration."""
    routes = APIRouter()
    manages = page_requires("people.manage")
    organisation = frame.organisation

    async def people(request: Request, principal: Principal, status: int = 200, **given: Any) -> Response:
        values: dict[str, Any] = {"errors": {}, "said": {"departments": ()}, "added": None, "link": None}
        values |= {"people": await access.people.everyone(), "roles": ROLES, "departments": _tree(organisation)}
        return frame.page(request, principal, "people.html", "people", status, **values | given)

    async def person(request: Request, principal: Principal, number: str, status: int = 200, **given: Any) -> Response:
        found = await access.people.by_number(number)
        values: dict[str, Any] = {"errors": {}, "done": None, "link": None, "said": _said_of(found)}
        values |= {"person": found, "oneself": principal.kind == "person" and principal.id == number}
        values |= {"sessions": await access.sessions.of(number), "roles": ROLES, "departments": _tree(organisation)}
        return frame.page(request, principal, "person.html", "people", status, **values | given)

    @routes.get("/desk/people")
    async def show_people(request: Request, principal: Principal = Depends(manages)) -> Response:
        return await people(request, principal)

    @routes.post("/desk/people")
    async def add(request: Request, principal: Principal = Depends(manages)) -> Response:
        """A new person, and their one-time link, shown this once."""
        said = await posted(request)
        where = _departments(said)
        try:
            _check(organisation, where)
            added, token = await access.people.add(said.get("name", ""), said.get("role", ""), where, said.get("shown"))
        except Invalid as error:
            written = {**said, "departments": where}
            return await people(request, principal, 422, errors=_errors(error), said=written)
        _note("a person was added", principal, added.number, added.role)
        return await people(request, principal, 201, added=added, link=link_address(access.base, token))

    @routes.get("/desk/people/{number}")
    async def show_person(
        request: Request, number: str, done: str | None = None, principal: Principal = Depends(manages)
    ) -> Response:
        return await person(request, principal, number, done=done if done in DONE else None)

    @routes.post("/desk/people/{number}")
    async def change(request: Request, number: str, principal: Principal = Depends(manages)) -> Response:
        said = await posted(request)
        where = _departments(said)
        try:
            _check(organisation, where)
            changed = await access.people.change(number, principal, said.get("role", ""), where, said.get("shown"))
        except Invalid as error:
            written = {**said, "departments": where}
            return await person(request, principal, number, 422, errors=_errors(error), said=written)
        except Forbidden:
            return await person(request, principal, number, 403, errors={"person": "oneself"})
        _note("a person's role was set", principal, number, changed.role)
        return _done(f"/desk/people/{number}", "saved")

    @routes.post("/desk/people/{number}/link")
    async def new_link(request: Request, number: str, principal: Principal = Depends(manages)) -> Response:
        """A new one-time link, shown this once."""
        await posted(request)
        try:
            token = await access.people.new_link(number)
        except Invalid as error:
            return await person(request, principal, number, 422, errors=_errors(error))
        _note("a sign-in link was made", principal, number)
        return await person(request, principal, number, 201, link=link_address(access.base, token))

    @routes.post("/desk/people/{number}/disabled")
    async def disable(request: Request, number: str, principal: Principal = Depends(manages)) -> Response:
        """Shut someone out, or with `disabled=no` let them in again."""
        disabled = (await posted(request)).get("disabled") != "no"
        try:
            await access.people.disable(number, principal, disabled)
        except Invalid as error:
            return await person(request, principal, number, 422, errors=_errors(error))
        except Forbidden:
            return await person(request, principal, number, 403, errors={"person": "oneself"})
        if disabled:
            await access.sessions.end_all(number)
        _note("a person was disabled" if disabled else "a person was enabled", principal, number)
        return _done(f"/desk/people/{number}", "disabled" if disabled else "enabled")

    @routes.post("/desk/people/{number}/sessions")
    async def end_sessions(request: Request, number: str, principal: Principal = Depends(manages)) -> Response:
        await posted(request)
        found = await access.people.by_number(number)
        await access.sessions.end_all(found.number)
        return _done(f"/desk/people/{found.number}", "ended")

    async def keys(request: Request, principal: Principal, status: int = 200, **given: Any) -> Response:
        kept = await access.keys.every()
        values: dict[str, Any] = {"errors": {}, "said": {"departments": ()}, "key": None, "done": None}
        values |= {"keys_kept": kept, "roles": ROLES, "departments": _tree(organisation)}
        return frame.page(request, principal, "keys.html", "people", status, **values | given)

    @routes.get("/desk/keys")
    async def show_keys(request: Request, done: str | None = None, principal: Principal = Depends(manages)) -> Response:
        return await keys(request, principal, done=done if done in DONE else None)

    @routes.post("/desk/keys")
    async def make_key(request: Request, principal: Principal = Depends(manages)) -> Response:
        """A new bearer key, shown this once."""
        said = await posted(request)
        where, name, role = _departments(said), said.get("name", "").strip(), said.get("role", "")
        try:
            _check(organisation, where)
            if not name or len(name) > 80 or not name.isprintable():
                raise Invalid([FieldError("/name", "needed")])
            if role not in ROLES:
                raise Invalid([FieldError("/role", "unknown")])
        except Invalid as error:
            written = {**said, "departments": where}
            return await keys(request, principal, 422, errors=_errors(error), said=written)
        key = await access.keys.create(role, where, name, principal.id)
        _note("a key was made", principal, role=role)
        return await keys(request, principal, 201, key=key)

    @routes.post("/desk/keys/{id}/revoked")
    async def revoke_key(request: Request, id: str, principal: Principal = Depends(manages)) -> Response:
        await posted(request)
        await access.keys.revoke(id)
        _note("a key was revoked", principal, id)
        return _done("/desk/keys", "revoked")

    return routes


def _note(what: str, by: Principal, about: str | None = None, role: str | None = None) -> None:
    """Nobody gives anybody rights in silence: one line, by numbers and not by names."""
    log("routing").info(what, by=by.id, about=about, role=role)


def _departments(said: Mapping[str, str]) -> tuple[str, ...]:
    """The departments whose boxes are checked."""
    return tuple(name.removeprefix(DEPARTMENT) for name in said if name.startswith(DEPARTMENT))


def _check(organisation: Organisation, departments: tuple[str, ...]) -> None:
    if any(id not in organisation.departments for id in departments):
        raise Invalid([FieldError("/departments", "unknown")])


def _tree(organisation: Organisation) -> list[tuple[str, int, Any]]:
    """Every department below its parent: id, depth, label."""
    below: dict[str | None, list[Any]] = {}
    for department in organisation.departments.values():
        below.setdefault(department.parent, []).append(department)

    def walk(parent: str | None, depth: int) -> list[tuple[str, int, Any]]:
        found = []
        for department in below.get(parent, ()):
            found.append((department.id, depth, department.label))
            found += walk(department.id, depth + 1)
        return found

    return walk(None, 0)


def _said_of(person: Person) -> dict[str, Any]:
    return {"role": person.role, "shown": person.shown or "", "departments": person.departments}


def _errors(error: Invalid) -> dict[str, str]:
    """Field → code."""
    return {found.location[1:]: found.code for found in error.errors}


def _done(where: str, what: str) -> Response:
    return RedirectResponse(f"{where}?done={what}", 303)
