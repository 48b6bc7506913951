"""The door: a body within its limit, its signature, then what it says."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from confluent_kafka import KafkaException
from fastapi import FastAPI, Request, Response

from .hints import Encoder
from .log import Log

BODY_LIMIT = 64 << 10
# A little before the provider gives up.
DEADLINE = 4.5
STREAMS = {
    "EXERCISE": ["exercises", "cardio-load"],
    "SLEEP": ["sleep", "nightly-recharge"],
    "CONTINUOUS_HEART_RATE": ["continuous-heart-rate"],
    "ACTIVITY_SUMMARY": ["activities"],
    "PHYSICAL_INFORMATION": ["physical-info"],
}


class Notification(msgspec.Struct):
    event: str
    user_id: int | None = None
    date: str | None = None


def build(signing_key: str, encoder: Encoder, log: Log) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.start(asyncio.get_running_loop())
        yield
        log.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    key = signing_key.encode()
    parse = msgspec.json.Decoder(Notification).decode

    @app.post("/webhooks/polar")
    async def take(request: Request) -> Response:
        body = await within(request, BODY_LIMIT)
        if body is None:
            return Response(status_code=413)
        if not signed(key, body, request.headers.get("polar-webhook-signature")):
            return Response(status_code=401)
        try:
            said = parse(body)
        except msgspec.DecodeError:
            return Response(status_code=400)
        # A date would make a window of the hint, which is not done here.
        if said.date is not None:
            return Response(status_code=400)
        streams = STREAMS.get(said.event)
        # What names nothing that is known is taken and left.
        if streams is not None and said.user_id is not None:
            connection, value = encoder.hint(str(said.user_id), streams)
            try:
                async with asyncio.timeout(DEADLINE):
                    await log.append(connection, value)
            except (TimeoutError, BufferError, KafkaException):
                return Response(status_code=503, headers={"retry-after": "2"})
        return Response()

    return app


async def within(request: Request, limit: int) -> bytes | None:
    """The body, unless it is larger than that; no more than the limit is kept of it."""
    announced = request.headers.get("content-length")
    if announced is not None and int(announced) > limit:
        return None
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def signed(key: bytes, body: bytes, given: str | None) -> bool:
    if given is None:
        return False
    try:
        signature = bytes.fromhex(given)
    except ValueError:
        return False
    return hmac.compare_digest(hmac.digest(key, body, "sha256"), signature)
