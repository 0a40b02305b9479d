"""`python -m deploy.secrets [FILE]`: make the secrets of `docker-compose.yml`, once, in a file that only its owner reads.

There are no defaults: compose refuses to start without them. A file that is there is never written over.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
import uuid

PASSWORDS = (
    "MONGO_ROOT_PASSWORD",
    "MONGO_INTAKE_PASSWORD",
    "MONGO_ROUTING_PASSWORD",
    "MONGO_NOTIFY_PASSWORD",
    "MONGO_ANALYTICS_PASSWORD",
    "GRAFANA_PASSWORD",
)
"""128 bits each, of letters that need no quoting anywhere."""


def made() -> dict[str, str]:
    """New ones."""
    return {
        **{name: secrets.token_hex(16) for name in PASSWORDS},
        "MONGO_KEY": secrets.token_hex(48),
        "KAFKA_CLUSTER_ID": base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A"),
    }


def write(file: str) -> None:
    """Write new ones into a new file. Raises `FileExistsError`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as out:
        out.writelines(f"{name}={value}\n" for name, value in made().items())


def main() -> int:
    file = sys.argv[1] if len(sys.argv) > 1 else ".env"
    try:
        write(file)
    except FileExistsError:
        print(f"{file} is there and stays as it is: what runs already needs those secrets", file=sys.stderr)
        return 1
    print(f"{file} holds new secrets; only you can read it")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
