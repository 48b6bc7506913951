"""Appending: librdkafka's queue, and one hop to the event loop per batch of acknowledgements instead of one per record."""

import asyncio
import threading

from confluent_kafka import KafkaError, KafkaException, Message, Producer


class Log:
    def __init__(self, bootstrap: str, topic: str):
        self.topic = topic
        self.producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "compression.codec": "lz4",
                "linger.ms": 5,
                "delivery.timeout.ms": 20_000,
                "queue.buffering.max.kbytes": 12_288,
                "queue.buffering.max.messages": 100_000,
            }
        )
        self.stopped = threading.Event()
        self.poller = threading.Thread(target=self._poll, name="deliveries")
        # Filled by callbacks, which run in `poll` and so in its thread alone.
        self.delivered: list[tuple[asyncio.Future[None], KafkaError | None]] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.poller.start()

    def stop(self) -> None:
        self.stopped.set()
        self.poller.join()
        self.producer.flush()

    async def append(self, key: str, value: bytes) -> None:
        """Comes back when the broker has it. One that is given up may still be delivered."""
        future: asyncio.Future[None] = self.loop.create_future()

        def delivered(error: KafkaError | None, _: Message) -> None:
            self.delivered.append((future, error))

        self.producer.produce(self.topic, value, key, on_delivery=delivered)
        await future

    def _poll(self) -> None:
        while not self.stopped.is_set():
            self.producer.poll(0.1)
            if self.delivered:
                self.loop.call_soon_threadsafe(settle, self.delivered)
                self.delivered = []


def settle(delivered: list[tuple[asyncio.Future[None], KafkaError | None]]) -> None:
    for future, error in delivered:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(KafkaException(error))
