"""What a new organisation file brings: the others are told, and deadlines follow its calendar."""

from __future__ import annotations

from dataclasses import replace

from services.routing.domain import work
from services.routing.domain.case import Case, Turn
from services.routing.domain.organisation import Organisation
from services.routing.handlers.cases import SYSTEM, decision_of
from services.routing.store import Cases, Source
from shared.clock import Clock
from shared.delivery.organisation import KEY
from shared.errors import Misconfigured, TooLarge
from shared.events.envelope import LARGEST
from shared.events.routing import OrganisationPublished
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Done
from shared.telemetry.logs import log


async def announce_organisation(sources: Documents[Source], organisation: Organisation, clock: Clock) -> None:
    """Tell the other services, if the file is not the one announced last.

    Raises `Misconfigured` if it is larger than an event may be.
    """

    def decide(kept: Kept[Source] | None) -> Decision[Source] | None:
        if kept and kept.value.version == organisation.version:
            return None
        event = OrganisationPublished(
            at=clock.now(),
            actor=SYSTEM,
            organisation_version=organisation.version,
            content=organisation.published(),
        )
        return Decision(Source(organisation.version, kept.value.scheduled if kept else None), (event,))

    try:
        await sources.change(KEY, decide)
    except TooLarge:
        raise Misconfigured(f"the organisation file is too large: an event takes {LARGEST:,} bytes") from None


async def reschedule_cases(cases: Cases, sources: Documents[Source], organisation: Organisation, clock: Clock) -> None:
    """Bring every open case's deadline to the calendar of an organisation that is new. Begun again, it goes on."""
    source = await sources.get(KEY)
    if source is None or source.value.scheduled == organisation.version:
        return
    total = 0
    while changed := await _reschedule_once(cases, organisation, clock):
        total += changed
    if total:
        log("routing").info("deadlines follow the new calendar", cases=total)
    await sources.change(
        KEY, lambda kept: Decision(replace(kept.value, scheduled=organisation.version)) if kept else None
    )


async def _reschedule_once(cases: Cases, organisation: Organisation, clock: Clock) -> int:
    """One way through the open cases, a commit a page; how many changed. Moved ones may be met again, unchanged."""

    def decide(kept: Kept[Case] | None) -> Decision[Case] | None:
        if kept is None:
            return None
        done = work.reschedule(kept.value, Turn.on(kept.value, clock.now(), SYSTEM, organisation))
        return decision_of(done) if done else None

    changed, cursor = 0, None
    while True:
        page, cursor = await cases.with_deadline(cursor)
        decided = [(kept, decision) for kept in page if (decision := decide(kept))]
        outcomes = await cases.documents.write([cases.documents.replace(*each) for each in decided]) if decided else []
        for (kept, _), outcome in zip(decided, outcomes, strict=True):
            if not isinstance(outcome, Done):
                await cases.documents.change(kept.id, decide)
        changed += len(decided)
        if cursor is None:
            return changed
