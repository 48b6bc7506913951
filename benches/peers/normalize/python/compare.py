"""Whether two topics hold the same observations: keys, partitions and every field, with the FHIR resource as JSON and numbers by their digits.
Repeats are counted, and must be equal too. Ends with 1 when anything differs."""

import argparse
import json
import sys
from collections import Counter
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from normalize.records import Registry, decoder

TIMEOUT = 30
Place = tuple[bytes, int, str]
Record = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="compare", description=__doc__)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("reference", metavar="TOPIC")
    parser.add_argument("other", metavar="TOPIC")
    arguments = parser.parse_args()
    differences: Counter[str] = Counter()
    expected = load(arguments, arguments.reference, differences)
    found = load(arguments, arguments.other, differences)
    for place in expected.keys() & found.keys():
        count(expected[place], found[place], differences)
    missing, foreign = len(expected.keys() - found.keys()), len(found.keys() - expected.keys())
    print(f"{len(expected.keys() & found.keys())} in both, {missing} missing, {foreign} foreign, differences {dict(differences)}")
    return 1 if missing or foreign or differences or not expected else 0


def load(arguments: argparse.Namespace, topic: str, differences: Counter[str]) -> dict[Place, Record]:
    """All that is committed of a topic, by key, partition and id."""
    decode = decoder(Registry(arguments.registry))
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "group.id": "compare",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    open_partitions = set(consumer.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in open_partitions])
    records: dict[Place, Record] = {}
    repeats = 0
    while open_partitions:
        message = consumer.poll(TIMEOUT)
        if message is None:
            raise TimeoutError(f"{topic}: nothing came for {TIMEOUT} s before the end of partitions {open_partitions}")
        if message.error() is not None:
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            open_partitions.discard(message.partition())
            continue
        record = decode(message.value())
        record["fhir"] = json.loads(record["fhir"], parse_float=number, parse_int=number)
        place = (message.key(), message.partition(), record["id"])
        if place in records:
            repeats += 1
            count(records[place], record, differences)
        records[place] = record
    consumer.close()
    print(f"{topic}: {len(records)} records, {repeats} repeats")
    return records


def number(digits: str) -> tuple[str]:
    """Unlike any text, and by its digits."""
    return (digits,)


def count(one: Record, other: Record, differences: Counter[str]) -> None:
    differences.update(field for field in one.keys() | other.keys() if one.get(field) != other.get(field))


sys.exit(main())
