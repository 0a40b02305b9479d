"""The bound: a bare FastAPI route that validates the same body and stores nothing, on the same server.

`python -m tests.bench.bare` listens on a free port of the loopback and prints its address.
"""

from __future__ import annotations

import socket

import uvloop
from fastapi import FastAPI

from services.intake.channels.submission import NewFeedback
from shared.http.server import Server, server_config

app = FastAPI(openapi_url=None)

RECEIPT = {
    "id": "01J0000000000000000000000A",
    "number": "20260801-12345678-9",
    "code": "01J0000000000000000000000A",
    "received_at": "2026-08-01T00:00:00.000Z",
    "links": {"self": "http://127.0.0.1:8080/v1/feedback/20260801-12345678-9", "track": "http://127.0.0.1:8080/track"},
}


@app.post("/v1/feedback", status_code=201)
async def submit(body: NewFeedback):  # type: ignore[no-untyped-def]  # an answer model would make the bound slower
    del body
    return RECEIPT


def main() -> None:
    port = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{port.getsockname()[1]}", flush=True)
    uvloop.run(Server(server_config(app, 1)).serve(sockets=[port]))


if __name__ == "__main__":
    main()
