"""The loop: consume, map, produce, commit what was delivered."""

import logging
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from . import records
from .observations import observations

COMMIT_SECONDS = 0.25
BATCH = 500
Delivered = Callable[[KafkaError | None, Message], None]


class Stop:
    """Set by a signal."""

    def __init__(self):
        self.asked = False

    def __call__(self, *_):
        self.asked = True


class Window:
    """Records consumed between two commits: how far they reach, and how many of what they became is not delivered yet."""

    __slots__ = ("ends", "left")

    def __init__(self):
        self.ends: dict[tuple[str, int], int] = {}
        self.left = 0

    def delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            raise KafkaException(error)
        self.left -= 1

    def offsets(self) -> list[TopicPartition]:
        return [TopicPartition(topic, partition, end) for (topic, partition), end in self.ends.items()]


def at_least_once(arguments: Namespace, stop: Stop) -> None:
    consumer = Consumer(consumer_settings(arguments))
    producer = Producer(producer_settings(arguments))
    send = sender(arguments, producer)
    # Oldest first; the last one is being filled.
    windows: deque[Window] = deque([Window()])

    def commit(asynchronous: bool) -> None:
        done: dict[tuple[str, int], int] = {}
        while len(windows) > 1 and windows[0].left == 0:
            done.update(windows.popleft().ends)
        if done:
            mine = {(p.topic, p.partition) for p in consumer.assignment()}
            offsets = [TopicPartition(*place, end) for place, end in done.items() if place in mine]
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=asynchronous)

    def settle(*_) -> None:
        """Before partitions go to another member: what was taken of them is delivered and committed."""
        windows.append(Window())
        producer.flush()
        commit(asynchronous=False)

    consumer.subscribe([arguments.source], on_revoke=settle)
    due = time.monotonic() + COMMIT_SECONDS
    while not stop.asked:
        window = windows[-1]
        for message in consume(consumer):
            window.ends[message.topic(), message.partition()] = message.offset() + 1
            window.left += send(message, window.delivered)
        producer.poll(0)
        if time.monotonic() >= due:
            if window.ends:
                windows.append(Window())
            commit(asynchronous=True)
            due = time.monotonic() + COMMIT_SECONDS
    settle()
    consumer.close()


def exactly_once(arguments: Namespace, stop: Stop) -> None:
    settings = producer_settings(arguments) | {"transactional.id": arguments.group}
    consumer, producer = Consumer(consumer_settings(arguments)), Producer(settings)
    producer.init_transactions()
    send = sender(arguments, producer)
    window: Window | None = None

    def end() -> None:
        nonlocal window
        if window is not None:
            producer.send_offsets_to_transaction(window.offsets(), consumer.consumer_group_metadata())
            producer.commit_transaction()
            window = None

    consumer.subscribe([arguments.source], on_revoke=lambda *_: end())
    due = 0.0
    while not stop.asked:
        for message in consume(consumer):
            if window is None:
                producer.begin_transaction()
                window, due = Window(), time.monotonic() + arguments.exactly_once / 1000
            window.ends[message.topic(), message.partition()] = message.offset() + 1
            send(message, None)
        producer.poll(0)
        if time.monotonic() >= due:
            end()
    end()
    consumer.close()


def consume(consumer: Consumer) -> Iterable[Message]:
    for message in consumer.consume(BATCH, timeout=0.1):
        if message.error() is not None:
            raise KafkaException(message.error())
        yield message


def sender(arguments: Namespace, producer: Producer) -> Callable[[Message, Delivered | None], int]:
    """Maps a message and hands over what it became; gives how many records that is."""
    registry = records.Registry(arguments.registry)
    decode = records.decoder(registry)
    encode = records.encoder(registry, arguments.target, Path(arguments.schema))
    target = arguments.target

    def send(message: Message, delivered: Delivered | None) -> int:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        try:
            raw = decode(message.value())
            values = [encode(record) for record in observations(raw, topic, partition, offset)]
        except Exception as why:
            why.add_note(f"{topic} partition {partition} offset {offset}")
            raise
        for value in values:
            while True:
                try:
                    producer.produce(target, value, raw["subject_id"], on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.05)
        return len(values)

    return send


def consumer_settings(arguments: Namespace) -> dict[str, Any]:
    return {
        "bootstrap.servers": arguments.bootstrap,
        "group.id": arguments.group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 16384,
        "on_commit": committed,
    }


def producer_settings(arguments: Namespace) -> dict[str, Any]:
    return {
        "bootstrap.servers": arguments.bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.codec": "lz4",
        "linger.ms": 25,
        "queue.buffering.max.kbytes": 32768,
    }


def committed(error: KafkaError | None, _: list[TopicPartition]) -> None:
    # The next commit reaches further; one that failed only makes repeats after a crash.
    if error is not None:
        logging.warning("offsets were not committed: %s", error)
