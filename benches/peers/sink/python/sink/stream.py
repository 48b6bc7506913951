"""The loop: consume, write, commit what is written."""

import logging
import time
from argparse import Namespace
from collections import deque
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from . import records
from .store import Store, Written

COMMIT_SECONDS = 0.25
BATCH = 500
Ends = dict[tuple[str, int], int]


class Stop:
    """Set by a signal."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, *_: Any) -> None:
        self.asked = True


def run(arguments: Namespace, stop: Stop) -> None:
    decode = records.decoder(arguments.registry)
    store = Store(arguments.node, arguments.keyspace)
    consumer = Consumer(settings(arguments))
    # How far each poll reaches, oldest first.
    windows: deque[tuple[Ends, Written]] = deque()

    def commit(asynchronous: bool) -> None:
        done: Ends = {}
        while windows and windows[0][1].done():
            done.update(windows.popleft()[0])
        if done:
            mine = {(p.topic, p.partition) for p in consumer.assignment()}
            offsets = [TopicPartition(*place, end) for place, end in done.items() if place in mine]
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=asynchronous)

    def settle(*_: Any) -> None:
        """Before partitions go to another member: what was taken of them is written and committed."""
        for _, written in windows:
            written.wait()
        commit(asynchronous=False)

    consumer.subscribe([arguments.source], on_revoke=settle)
    due = time.monotonic() + COMMIT_SECONDS
    while not stop.asked:
        ends: Ends = {}
        observations = []
        for message in consumer.consume(BATCH, timeout=0.1):
            observations.append(read(message, decode))
            ends[message.topic(), message.partition()] = message.offset() + 1
        if observations:
            windows.append((ends, store.write(observations)))
        if time.monotonic() >= due:
            commit(asynchronous=True)
            due = time.monotonic() + COMMIT_SECONDS
    settle()
    consumer.close()
    store.close()


def read(message: Message, decode: Any) -> records.Observation:
    if message.error() is not None:
        raise KafkaException(message.error())
    try:
        return decode(message.value())
    except Exception as why:
        why.add_note(f"{message.topic()} partition {message.partition()} offset {message.offset()}")
        raise


def settings(arguments: Namespace) -> dict[str, Any]:
    return {
        "bootstrap.servers": arguments.bootstrap,
        "group.id": arguments.group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 20,
        "fetch.message.max.bytes": 262144,
        "fetch.max.bytes": 4194304,
        "queued.max.messages.kbytes": 4096,
        "on_commit": committed,
    }


def committed(error: KafkaError | None, _: list[TopicPartition]) -> None:
    # The next commit reaches further; one that failed only makes repeats after a crash.
    if error is not None:
        logging.warning("offsets were not committed: %s", error)
