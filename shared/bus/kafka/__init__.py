"""The log on Apache Kafka: the distributed mode's adapter. The only folder that knows aiokafka."""

from shared.bus.kafka.bus import KafkaBus
from shared.bus.kafka.topic import Topic, apply

__all__ = ["KafkaBus", "Topic", "apply"]
