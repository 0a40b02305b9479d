"""Real Kafka and MongoDB servers on this machine, without containers: for development, tests and measurements."""
