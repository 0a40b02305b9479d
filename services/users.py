"""`huiyin users`: the people who may sign in."""

from __future__ import annotations

from typing import Annotated

import httpx2
import typer

from services.control import checked, told

users = typer.Typer(help="People who work at the desk.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="what the person types to sign in", metavar="NAME")]


@users.command("add")
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="what the person does")],
    department: Annotated[list[str] | None, typer.Option(help="where; may be given more than once")] = None,
) -> None:
    """Print a one-time sign-in link, this once and nothing else. It is good for seven days."""

    async def work(client: httpx2.AsyncClient) -> None:
        wanted = {"name": name, "role": role, "departments": department or []}
        print(checked(await client.post("/control/users", json=wanted)).json()["link"])

    told(work)


@users.command("link")
def link(name: Name) -> None:
    """Print a new one-time sign-in link, for someone who lost the first or forgot the password."""

    async def work(client: httpx2.AsyncClient) -> None:
        print(checked(await client.post("/control/users/link", json={"name": name})).json()["link"])

    told(work)


@users.command("disable")
def disable(name: Name) -> None:
    """Let nobody sign in as this person any more; sessions end at once."""

    async def work(client: httpx2.AsyncClient) -> None:
        checked(await client.post("/control/users/disable", json={"name": name}))

    told(work)


@users.command("list")
def list_users() -> None:
    """A line for each person: number, name, role, departments, and what keeps them from signing in."""

    async def work(client: httpx2.AsyncClient) -> None:
        for person in checked(await client.get("/control/users")).json():
            where = ",".join(person["departments"]) or "-"
            state = "disabled" if person["disabled"] else ""
            if person["link_until"]:
                state = f"link until {person['link_until']}"
            print(f"{person['number']}  {person['name']:20}  {person['role']:16}  {where}  {state}".rstrip())

    told(work)
