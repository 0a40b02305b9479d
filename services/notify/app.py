"""Notify, put together: the table says who is told when."""

from __future__ import annotations

from email.utils import parseaddr
from urllib.parse import urlsplit

from services.notify.api import router
from services.notify.channels.channel import Channel, Stationery
from services.notify.channels.digests import DigestSender
from services.notify.channels.discard import DiscardChannel
from services.notify.channels.letters import Letters
from services.notify.channels.live import Live
from services.notify.channels.maildir import MaildirChannel
from services.notify.channels.sender import Sender
from services.notify.channels.smtp import Relay, SmtpChannel
from services.notify.domain import Knowledge, valid_address
from services.notify.handlers import (
    acknowledge_citizen,
    answer_citizen,
    ask_citizen,
    close_with_citizen,
    follow_case,
    tell_department,
    warn_department,
)
from services.notify.settings import NotifySettings
from services.notify.store import DELIVERIES, DIGESTS, Deliveries, Digests
from shared.delivery.organisation import COLLECTION as ORGANISATION
from shared.delivery.organisation import OrganisationCopy, keep_organisation
from shared.errors import Misconfigured
from shared.events.intake import FeedbackReceived
from shared.events.notify import DeliveryDead, DeliveryFailed, DeliverySent
from shared.events.routing import (
    CaseAnswered,
    CaseAwaitingCitizen,
    CaseClosed,
    CaseOverdue,
    CaseReassigned,
    CaseReturned,
    CaseRouted,
    CaseTriaged,
    OrganisationPublished,
)
from shared.service import Platform, Service, Wiring, on


def build(platform: Platform) -> Wiring:
    """Wire notify to a platform, with `NOTIFY_*` from the environment. Raises `Misconfigured`."""
    settings = NotifySettings()
    clock = platform.clock
    deliveries, digests = Deliveries(platform.store, clock), Digests(platform.store, clock)
    organisation = OrganisationCopy(platform.store, clock)
    channel = channel_of(settings, platform)
    live = Live(organisation, clock)
    letters = Letters(platform.settings.link_base, settings.language)
    gatherer = DigestSender(deliveries, digests, letters, channel, clock, settings.retries)
    sender = Sender(deliveries, gatherer, letters, channel, platform.vault, organisation, clock, settings.retries)

    def knows() -> Knowledge:
        announced = organisation.last
        with_address = frozenset(d.id for d in announced.content.departments if d.email) if announced else None
        return Knowledge(settings.digest, with_address)

    async def start() -> None:
        await organisation.current()

    return Wiring(
        routers=[router(deliveries, organisation, live, clock)],
        documents={"case": deliveries, "organisation": organisation.documents},
        knows=knows,
        jobs=(sender.run,),
        followers=(live.follow,),
        start=start,
        ready=organisation.ready,
    )


def channel_of(settings: NotifySettings, platform: Platform) -> Channel:
    """The way out that the settings ask for."""
    host = urlsplit(platform.settings.link_base).hostname or "localhost"
    host = host.encode("idna").decode()
    named = "." in host and not host.replace(".", "").isdigit()
    given = settings.sender or f"noreply@{host if named else 'localhost.invalid'}"
    name, sender = parseaddr(given)
    if not valid_address(sender) or not given.isprintable():
        raise Misconfigured("NOTIFY_FROM: should be an e-mail address, or a name and <address>")
    stationery = Stationery(sender, name or "回音 Huiyin", host if named else "localhost", platform.clock)
    if settings.channel == "discard":
        return DiscardChannel(platform.clock)
    if settings.smtp_url is None:
        return MaildirChannel(platform.settings.data / "mail", stationery, platform.clock)
    relay = Relay.at(settings.smtp_url.get_secret_value())
    return SmtpChannel(relay, stationery, platform.clock, settings.smtp_connections)


SERVICE = Service(
    name="notify",
    purpose="tells people, on their channel, once",
    collections=(DELIVERIES, DIGESTS, ORGANISATION),
    subscriptions=(
        on(FeedbackReceived, acknowledge_citizen),
        on(CaseAwaitingCitizen, ask_citizen),
        on(CaseAnswered, answer_citizen),
        on(CaseClosed, close_with_citizen),
        on(CaseRouted, tell_department),
        on(CaseTriaged, tell_department),
        on(CaseReassigned, tell_department),
        on(CaseReturned, follow_case),
        on(CaseOverdue, warn_department),
        on(OrganisationPublished, keep_organisation),
    ),
    emits=(DeliverySent, DeliveryFailed, DeliveryDead),
    build=build,
    port=8083,
    paths=("/v1/deliveries", "/v1/live"),
    opens=frozenset({"reply", "contact"}),
)
