"""`/control/users`: what an operator does about people, over `control.sock`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints

from services.routing.api.bodies import Body
from services.routing.domain.organisation import Organisation
from shared.clock import rfc3339
from shared.errors import FieldError, Invalid, NotFound
from shared.http.access import ROLES, Access, Principal, operated
from shared.http.people import Person, link_address

OPERATOR = Principal("operator", "operator", "operations")


class Named(Body):
    name: Annotated[str, StringConstraints(max_length=200)]


class Wanted(Named):
    role: str
    departments: list[str] = Field(default_factory=list, max_length=100)


def router(access: Access, organisation: Organisation) -> APIRouter:
    """The operator's calls."""
    routes = APIRouter(prefix="/control/users", dependencies=[Depends(operated)], include_in_schema=False)

    async def found(name: str) -> Person:
        person = await access.people.by_name(name)
        if person is None:
            raise NotFound("there is nobody of that name: huiyin users list")
        return person

    @routes.post("")
    async def add(wanted: Wanted) -> dict[str, str]:
        """A new person; their work number and one-time link, told this once."""
        if wanted.role not in ROLES:
            raise Invalid([FieldError("/role", "unknown")], f"there is no such role; roles: {', '.join(ROLES)}")
        unknown = [n for n, id in enumerate(wanted.departments) if id not in organisation.departments]
        if unknown:
            raise Invalid(
                [FieldError(f"/departments/{n}", "unknown") for n in unknown],
                f"there is no such department; departments: {', '.join(organisation.departments)}",
            )
        person, token = await access.people.add(wanted.name, wanted.role, wanted.departments)
        return {"number": person.number, "link": link_address(access.base, token)}

    @routes.get("")
    async def everyone() -> list[dict[str, Any]]:
        """Everybody, by work number."""
        return [
            {
                "number": person.number,
                "name": person.name,
                "role": person.role,
                "departments": list(person.departments),
                "disabled": person.disabled,
                "link_until": rfc3339(person.link_until) if person.link and person.link_until else None,
            }
            for person in await access.people.everyone()
        ]

    @routes.post("/link")
    async def link(named: Named) -> dict[str, str]:
        """A new one-time link; an unused one is void from now on."""
        person = await found(named.name)
        return {"number": person.number, "link": link_address(access.base, await access.people.new_link(person.number))}

    @routes.post("/disable")
    async def disable(named: Named) -> dict[str, str]:
        """Nobody signs in as this person any more; their sessions end."""
        person = await access.people.disable((await found(named.name)).number, OPERATOR)
        return {"number": person.number}

    return routes
