"""Looking at a contact: noted durably first, shown second, and never with the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import from_json

from services.intake.domain import Look
from services.intake.store import Feedbacks, Looks, Views
from shared.clock import Clock, Ids, valid_number
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Forbidden, NotFound, Unavailable
from shared.http.access import Principal
from shared.store.documents import Decision, Kept
from shared.store.port import Done
from shared.vault.vault import Vault, key_name

FIELDS = ("name", "phone", "email", "preferred")
"""What of a contact is shown. The code opens the case to whoever has it, so it is no contact."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What somebody was shown. `erased`: there is nothing left to show."""

    number: str
    fields: Mapping[str, str]
    erased: bool


class Contacts:
    """The way to a submitter's contact."""

    def __init__(
        self,
        feedbacks: Feedbacks,
        views: Views,
        looks: Looks,
        organisation: OrganisationCopy,
        vault: Vault,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self.looks = looks
        self._feedbacks, self._views, self._organisation = feedbacks, views, organisation
        self._vault, self._clock, self._ids = vault, clock, ids

    async def unmask(self, number: str, principal: Principal, reason: str) -> Contact:
        """The contact, after it was written down who sees which of its fields.

        Raises `NotFound` outside the principal's departments, `Forbidden` where the submitter's identity is withheld
        from them, and `Unavailable`; then nothing was shown.
        """
        kept = await self._feedbacks.by_number(number) if valid_number(number) else None
        if kept is None or not await self._sees(principal, kept.id):
            raise NotFound()
        if kept.value.anonymous and not principal.scope.everything:
            raise Forbidden("the identity is withheld from the department")
        name = key_name(kept.value.contact)
        keys = (await self._vault.fetch([name])).get(name)
        told = from_json(keys.open(kept.value.contact, "contact")) if keys else {}
        fields = {field: told[field] for field in FIELDS if told.get(field)}
        look = Look(number, principal.id, principal.kind, principal.role, tuple(fields), reason, self._clock.now())
        new = Kept(self._ids.document(), look)
        (outcome,) = await self.looks.write([self.looks.insert(new, Decision(look))])
        if not isinstance(outcome, Done):
            raise Unavailable("the look could not be noted")
        return Contact(number, fields, keys is None)

    async def _sees(self, principal: Principal, id: str) -> bool:
        """Whether the case is with one of the principal's departments, as intake last heard."""
        if principal.scope.everything:
            return True
        view, announced = await self._views.get(id), await self._organisation.current()
        parents = {d.id: d.parent for d in announced.content.departments} if announced else {}
        department, met = view.value.department if view else None, set[str]()
        while department is not None and department not in met:
            if department in principal.scope.departments:
                return True
            met.add(department)
            department = parents.get(department)
        return False
