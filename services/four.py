"""The four services, in the order in which a person's words reach them."""

from services.analytics.app import SERVICE as ANALYTICS
from services.intake.app import SERVICE as INTAKE
from services.notify.app import SERVICE as NOTIFY
from services.routing.app import SERVICE as ROUTING

SERVICES = (INTAKE, ROUTING, NOTIFY, ANALYTICS)
