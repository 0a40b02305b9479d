"""The people who work at the desk: who they are, how they sign in, and what may be changed about them by whom."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from shared.clock import Clock, Ids, Moment
from shared.errors import Busy, FieldError, Forbidden, Invalid, NotFound
from shared.http.passwords import Passwords, check_password
from shared.http.remembered import digest_of
from shared.http.roles import ROLES, Principal
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Collection, DocumentStore, Done, Duplicate, Index, Query

PEOPLE = Collection(
    "people", "record", unique=("folded", "link"), indexes=(Index(("serial",)), Index(("role", "serial"))), urgent=True
)

FIRST = 101
"""The first work number; each next one is one higher, and none is given twice."""

LINK_DAYS = 7
"""How long a one-time sign-in link is good for."""

NAME = re.compile(r"[\w.@-]{2,64}")

SHOWN = 40
"""The most characters of a chosen name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who may sign in.

    `number` is the work number, `name` what is typed to sign in, `folded` the same for comparing, `shown` the name
    chosen for colleagues and citizens. `password` is a hash; None until one was chosen. `link` is the digest of the
    one-time link that is still unused, good until `link_until`.
    """

    number: str
    serial: int
    name: str
    folded: str
    role: str
    departments: tuple[str, ...]
    created_at: Moment
    shown: str | None = None
    language: Literal["zh", "en"] | None = None
    keys_on: bool = True
    disabled: bool = False
    password: str | None = None
    link: str | None = None
    link_until: Moment | None = None

    def principal(self) -> Principal:
        return Principal(
            "person",
            self.number,
            self.role,
            tuple(self.departments),
            self.shown or self.number,
            self.language,
            self.keys_on,
        )


Decide = Callable[[Person], Person]


class People:
    """The people of the `access` store. `changed` is called after every change, so that nothing old is believed."""

    def __init__(
        self, store: DocumentStore, passwords: Passwords, ids: Ids, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._documents = Documents(store, PEOPLE, Person, clock)
        self._passwords, self._ids, self._clock = passwords, ids, clock
        self._changed = changed
        self._one_at_a_time = asyncio.Lock()

    async def add(
        self,
        name: str,
        role: str,
        departments: Iterable[str] = (),
        shown: str | None = None,
        language: str | None = None,
    ) -> tuple[Person, str]:
        """A new person and the token of their one-time link, told this once.

        Raises `Invalid` naming `/name` (`invalid`, `taken`), `/role` or `/shown`. Departments are the caller's to check.
        """
        name, folded = name.strip(), fold(name)
        errors = [] if NAME.fullmatch(name) else [FieldError("/name", "invalid")]
        if role not in ROLES:
            errors.append(FieldError("/role", "unknown"))
        if errors:
            raise Invalid(errors)
        token, digest, until = self._link()
        for _ in range(100):
            serial = await self._next()
            person = Person(
                str(serial), serial, name, folded, role, tuple(departments), self._clock.now(), chosen(shown),
                _language(language), link=digest, link_until=until,
            )  # fmt: skip
            change = self._documents.insert(Kept(person.number, person), Decision(person))
            (outcome,) = await self._documents.write([change])
            match outcome:
                case Done():
                    return person, token
                case Duplicate("folded"):
                    raise Invalid([FieldError("/name", "taken")])
        raise Busy()

    async def everyone(self) -> list[Person]:
        """By work number."""
        found, cursor = await self._documents.find(Query(order="serial", limit=500))
        while cursor is not None:
            more, cursor = await self._documents.find(Query(order="serial", limit=500), cursor)
            found += more
        return [kept.value for kept in found]

    async def by_number(self, number: str) -> Person:
        """Raises `NotFound`."""
        kept = await self._documents.get(number)
        if kept is None:
            raise NotFound()
        return kept.value

    async def by_numbers(self, numbers: Iterable[str]) -> dict[str, Person]:
        """Those that exist, by work number."""
        return {number: kept.value for number, kept in (await self._documents.get_many(list(set(numbers)))).items()}

    async def by_name(self, name: str) -> Person | None:
        found, _ = await self._documents.find(Query({"folded": fold(name)}, limit=1))
        return found[0].value if found else None

    async def new_link(self, number: str) -> str:
        """The token of a new one-time link, told this once; an older unused one is void. The password stays until then."""
        token, digest, until = self._link()

        def decide(person: Person) -> Person:
            if person.disabled:
                raise Invalid([FieldError("/person", "disabled")])
            return replace(person, link=digest, link_until=until)

        await self._change(number, decide)
        return token

    async def by_link(self, token: str) -> Person | None:
        """Whose unused, unexpired one-time link it is. Looking does not use it."""
        found, _ = await self._documents.find(Query({"link": digest_of(token).hex()}, limit=1))
        if not found or self._void(found[0].value):
            return None
        return found[0].value

    async def redeem(self, token: str, password: str) -> Person:
        """Use a one-time link to choose a password. Raises `NotFound` for a void link, `Invalid` for the password."""
        person = await self.by_link(token)
        if person is None:
            raise NotFound()
        check_password(password, person.name)
        hashed, digest = await self._passwords.hashed(password), digest_of(token).hex()

        def decide(person: Person) -> Person:
            if person.link != digest or self._void(person):
                raise NotFound()
            return replace(person, password=hashed, link=None, link_until=None)

        return await self._change(person.number, decide)

    async def verified(self, name: str, password: str) -> Person | None:
        """The person with this name and password; None for any other pair, always after the same time."""
        person = await self.by_name(name)
        usable = person if person and not person.disabled else None
        right = await self._passwords.matches(password, usable.password if usable else None)
        return usable if right else None

    async def choose_password(self, number: str, current: str, new: str) -> None:
        """Raises `Invalid` naming `/current` or `/password`."""
        person = await self.by_number(number)
        if not await self._passwords.matches(current, person.password):
            raise Invalid([FieldError("/current", "wrong")])
        check_password(new, person.name)
        hashed = await self._passwords.hashed(new)
        await self._change(number, lambda person: replace(person, password=hashed, link=None, link_until=None))

    async def prefer(self, number: str, shown: str | None, language: str | None, keys_on: bool) -> Person:
        """What people choose for themselves. Raises `Invalid` naming `/shown`."""
        name, spoken = chosen(shown), _language(language)
        return await self._change(number, lambda person: replace(person, shown=name, language=spoken, keys_on=keys_on))

    async def change(
        self, number: str, by: Principal, role: str, departments: Iterable[str], shown: str | None
    ) -> Person:
        """What an administrator decides. Raises `Invalid`, and `Forbidden` where it would be about themselves."""
        if role not in ROLES:
            raise Invalid([FieldError("/role", "unknown")])
        name, where = chosen(shown), tuple(departments)

        def decide(person: Person) -> Person:
            same = (person.role, set(person.departments)) == (role, set(where))
            if not same and _oneself(person, by):
                raise Forbidden("nobody changes their own role or departments")
            return replace(person, role=role, departments=where, shown=name)

        decide(await self.by_number(number))
        async with self._one_at_a_time:
            if role != "admin":
                await self._another_admin(number)
            return await self._change(number, decide)

    async def disable(self, number: str, by: Principal, disabled: bool = True) -> Person:
        """Raises `Forbidden` for oneself, `Invalid` naming `/person` (`last_admin`) for the last active administrator."""

        def decide(person: Person) -> Person:
            if _oneself(person, by):
                raise Forbidden("nobody disables themselves")
            return replace(person, disabled=disabled, link=None, link_until=None)

        decide(await self.by_number(number))
        async with self._one_at_a_time:
            if disabled:
                await self._another_admin(number)
            return await self._change(number, decide)

    async def _another_admin(self, number: str) -> None:
        """Raises unless someone is left who administers without the person `number`."""
        found, _ = await self._documents.find(Query({"role": "admin"}, order="serial", limit=500))
        active = {kept.id for kept in found if kept.value.password and not kept.value.disabled}
        if active == {number}:
            raise Invalid([FieldError("/person", "last_admin")])

    async def _change(self, number: str, decide: Decide) -> Person:
        def guarded(kept: Kept[Person] | None) -> Decision[Person]:
            if kept is None:
                raise NotFound()
            return Decision(decide(kept.value))

        kept = await self._documents.change(number, guarded)
        self._changed()
        assert kept is not None
        return kept.value

    async def _next(self) -> int:
        found, _ = await self._documents.find(Query(order="serial", descending=True, limit=1))
        return found[0].value.serial + 1 if found else FIRST

    def _link(self) -> tuple[str, str, Moment]:
        token = self._ids.token(32).hex()
        return token, digest_of(token).hex(), self._clock.now() + timedelta(days=LINK_DAYS)

    def _void(self, person: Person) -> bool:
        return person.disabled or person.link_until is None or person.link_until <= self._clock.now()


def link_address(base: str, token: str) -> str:
    """Where a one-time link leads. `base` is what all links begin with."""
    return f"{base}/sign-in/link/{token}"


def fold(name: str) -> str:
    """Names that look alike are the same name."""
    return unicodedata.normalize("NFKC", name.strip()).casefold()


def chosen(shown: str | None) -> str | None:
    """A chosen name as it is kept; None for none. Raises `Invalid` for one that is too long or has control characters."""
    name = unicodedata.normalize("NFC", shown or "").strip()
    if len(name) > SHOWN or not (name.isprintable()):
        raise Invalid([FieldError("/shown", "invalid")])
    return name or None


def _language(asked: str | None) -> Literal["zh", "en"] | None:
    match asked:
        case "zh":
            return "zh"
        case "en":
            return "en"
        case _:
            return None


def _oneself(person: Person, by: Principal) -> bool:
    return by.kind == "person" and by.id == person.number
