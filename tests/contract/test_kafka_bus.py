"""The log on a real Kafka keeps every promise of the port, and those that are its own."""

from __future__ import annotations

import itertools
import os

import pytest

from shared.bus.kafka import KafkaBus, Topic, apply
from shared.bus.port import EventBus
from tests.contract.bus import BusContract, Opening
from tests.support.clock import ManualClock
from tests.support.servers import kafka_url

pytestmark = pytest.mark.distributed

NUMBERS = itertools.count()


@pytest.fixture
async def topic() -> Topic:
    """A log of its own for each test."""
    topic = Topic(kafka_url(), f"test-{os.getpid()}-{next(NUMBERS)}")
    await apply(topic)
    return topic


class TestKafkaBus(BusContract):
    @pytest.fixture
    def opening(self, clock: ManualClock, topic: Topic) -> Opening:
        async def open() -> EventBus:
            bus = KafkaBus(topic, clock)
            await bus.check()
            return bus

        return open
