"""The command line: serve · import · users · keys · dead-letters · rebuild · dump · lag · topics.

`serve` is the process. Every other command talks to the running process over `control.sock`; if nothing runs, it opens
the files itself. A command that began over the socket never falls back.

What only some commands need is imported where they need it: a command over the socket starts in a third of the time.
"""

from __future__ import annotations

import gc
import json
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import httpx2
import typer
from rich.console import Console
from rich.progress import Progress

from services.control import checked, finished, lines, told
from services.users import users
from shared.clock import SystemClock
from shared.errors import Misconfigured

app = typer.Typer(
    help="Huiyin 回音: every voice gets an answer.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)
keys = typer.Typer(help="Bearer keys for staff and integrators.", no_args_is_help=True)
letters = typer.Typer(help="Records that could not be taken.", no_args_is_help=True)
app.add_typer(users, name="users")
app.add_typer(keys, name="keys")
app.add_typer(letters, name="dead-letters")
topics = typer.Typer(help="The log on Kafka.", no_args_is_help=True)
app.add_typer(topics, name="topics")

ServiceName = Literal["intake", "routing", "notify", "analytics"]
Name = Annotated[ServiceName, typer.Argument(help="one of the four")]


@app.command()
def serve(service: Annotated[ServiceName | None, typer.Argument(help="one service alone")] = None) -> None:
    """Start everything in one process, or one service."""
    gc.disable()  # a tenth of the start would be looking for garbage; the runtime turns it on again
    from shared.runtime import run

    if service is None:
        from services.four import SERVICES
        from services.sample import Sample

        raise typer.Exit(run(*SERVICES, prelude=Sample))
    raise typer.Exit(run(import_module(f"services.{service}.app").SERVICE))  # the other three are not even imported


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="a CSV table, also gzipped", exists=True, dir_okay=False)],
    preset: Annotated[str | None, typer.Option(help="a known table, such as c_hot")] = None,
    map: Annotated[list[str] | None, typer.Option(help="column=field, more than once")] = None,
    live: Annotated[bool, typer.Option("--live", help="treat old rows as new: deliveries and deadlines")] = False,
    errors: Annotated[Path, typer.Option(help="where refused rows are listed")] = Path("import-errors.csv"),
) -> None:
    """Take in a table of feedback; a second run adds nothing."""
    from services.importing import import_table
    from services.intake.channels.spreadsheet import PRESETS, mapped

    async def work(client: httpx2.AsyncClient) -> None:
        if (preset is None) == (not map):
            raise Misconfigured("give either --preset or --map")
        if preset is not None and preset not in PRESETS:
            raise Misconfigured(f"there is no preset {preset!r}; presets: {', '.join(PRESETS)}")
        table = PRESETS[preset] if preset else mapped(map or [], file.name)
        accepted, refused = await import_table(client, file, table, live, errors, SystemClock())
        print(f"{accepted} accepted" + (f", {refused} refused: see {errors}" if refused else ""))

    told(work)


@keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(help="what the holder does")],
    department: Annotated[list[str] | None, typer.Option(help="where; may be given more than once")] = None,
) -> None:
    """Print a new bearer key, this once and nothing else."""

    async def work(client: httpx2.AsyncClient) -> None:
        wanted = {"role": role, "departments": department or []}
        print(checked(await client.post("/control/keys", json=wanted)).json()["key"])

    told(work)


@topics.command("apply")
def apply_topic() -> None:
    """Make the topic of HUIYIN_KAFKA_URL what it has to be; say what was done. Again is harmless."""
    from shared.runtime import apply_topics

    finished(apply_topics)


@app.command()
def lag() -> None:
    """How far each service is behind the log."""

    async def work(client: httpx2.AsyncClient) -> None:
        for name, state in checked(await client.get("/control/lag")).json().items():
            print(f"{name:10} {state['lag']:>8} behind{'  STOPPED: ' + state['stopped'] if state['stopped'] else ''}")

    told(work)


@app.command()
def dump(service: Name, file: Annotated[Path, typer.Argument(help="where to write it")]) -> None:
    """Write the canonical dump of a service's derived documents."""

    async def work(client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", f"/control/dump/{service}") as answer:
            if not answer.is_success:
                await answer.aread()
                checked(answer)
            with file.open("wb") as out:
                async for chunk in answer.aiter_bytes():
                    out.write(chunk)

    told(work)


@app.command()
def rebuild(service: Name) -> None:
    """Drop what a service derived and read the log again."""

    async def work(client: httpx2.AsyncClient) -> None:
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task(f"rebuilding {service}", total=None)
            async for progress in lines(client, "POST", f"/control/rebuild/{service}"):
                bar.update(task, completed=progress["taken"], total=progress["of"])

    told(work)


@letters.command("list")
def list_letters(service: Name) -> None:
    """A line for each dead letter."""

    async def work(client: httpx2.AsyncClient) -> None:
        async for letter in lines(client, "GET", f"/control/dead-letters/{service}"):
            print(json.dumps(letter, ensure_ascii=False))

    told(work)


@letters.command("show")
def show_letter(service: Name, id: Annotated[str, typer.Argument(help="partition/offset")]) -> None:
    """One dead letter with its headers."""

    async def work(client: httpx2.AsyncClient) -> None:
        found = checked(await client.get(f"/control/dead-letters/{service}/{id}")).json()
        print(json.dumps(found, ensure_ascii=False, indent=2))

    told(work)


@letters.command("replay")
def replay_letters(
    service: Name,
    case: Annotated[str | None, typer.Option(help="only this message key")] = None,
    since: Annotated[str | None, typer.Option(help="only letters put aside at or after this RFC 3339 time")] = None,
    limit: Annotated[int, typer.Option(help="at most so many")] = 1000,
    policy: Annotated[str, typer.Option(help="stop or park where one fails again")] = "park",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say how many would be settled")] = False,
) -> None:
    """Take dead letters again, in order per case."""

    async def work(client: httpx2.AsyncClient) -> None:
        wanted = {"key": case, "since": since, "limit": limit, "policy": policy, "dry_run": dry_run}
        answer = checked(await client.post(f"/control/dead-letters/{service}/replay", json=wanted))
        print(f"{answer.json()['settled']} {'would be settled' if dry_run else 'settled'}")

    told(work)


def main() -> None:
    """The console script `huiyin`."""
    app()


if __name__ == "__main__":
    main()
