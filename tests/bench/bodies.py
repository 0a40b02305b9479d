"""What people say in the benchmarks: bodies of 600 bytes, three of ten with an e-mail address, Chinese and English."""

from __future__ import annotations

import json
from typing import Any

SIZE = 600
"""Bytes of a body."""

WITH_ADDRESS = 0.3
"""The share of bodies with an e-mail address."""

DIFFERENT = 1_000
"""How many different bodies there are."""

SAID = (
    "和平路与人民路交叉口的路灯已经坏了三天，晚上很黑，老人和孩子走路不安全，请尽快派人修理。",
    "The street lamp on Peace Road has been dark for three days; please repair it soon. ",
    "小区门口的垃圾桶满了没有人清运，夏天气味很大，希望增加清运的次数。",
    "There is a deep hole in the road in front of the school, and cars swerve around it. ",
)


def body(serial: int) -> bytes:
    """One body of exactly `SIZE` bytes."""
    said: dict[str, Any] = {"text": "", "kind": "help", "location": {"lat": 31.2304, "lon": 121.4737}}
    if serial % 10 < WITH_ADDRESS * 10:
        said["contact"] = {"email": f"citizen{serial:06d}@example.org"}
    room = SIZE - len(json.dumps(said, ensure_ascii=False).encode())
    text = f"{serial:06d} " + SAID[serial % len(SAID)] * 20
    while len(text.encode()) > room:
        text = text[: len(text) - max(1, (len(text.encode()) - room) // 3)]
    said["text"] = text.rstrip() + "." * (room - len(text.rstrip().encode()))
    return json.dumps(said, ensure_ascii=False).encode()


def bodies() -> list[bytes]:
    return [body(serial) for serial in range(DIFFERENT)]
