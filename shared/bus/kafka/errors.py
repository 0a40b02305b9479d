"""The client's errors as the port's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from aiokafka.errors import KafkaError

from shared.errors import Unavailable


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Whatever was asked of Kafka at `url`, it did not answer in time. Raises `Unavailable`."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable(f"Kafka at {url} does not answer: {type(error).__name__}") from error
