"""What is written of an observation."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from .records import Observation

DAY = 86_400_000_000
# A batch of one partition becomes one mutation; larger ones gain nothing.
BATCH_ROWS = 50
BATCH_BYTES = 100 * 1024
# A row's size beside the texts that may be long.
FIELD_BYTES = 500

# Of the cell, in the order of its type.
FIELDS = (
    "mapper_version", "version", "moved_to", "status", "record_id", "connection_id", "provider", "stream", "lane", "code",
    "code_system", "category", "end_at", "utc_offset", "offset_origin", "local_date", "value", "value_text", "unit", "comparator",
    "value_code", "absent_reason", "components", "device_id", "method", "source_modified", "raw_topic", "raw_partition",
    "raw_offset", "fhir", "stored_at",
)  # fmt: skip
NOTHING = (None,) * (len(FIELDS) - 3)

Partition = tuple[str, int]


class Row(NamedTuple):
    """The parameters of its statement, and about how many bytes it takes."""

    values: tuple[Any, ...]
    size: int


def partitions(observations: Iterable[Observation], now: int) -> dict[Partition, list[Row]]:
    """Rows by partition. An observation that moved leaves a second row, at its old place."""
    rows: dict[Partition, list[Row]] = {}
    for o in observations:
        subject, start, previous = o["subject_id"], o["start"], o["previous_start"]
        components = texts(o["components"]) if o["components"] else None
        size = FIELD_BYTES + len(o["fhir"]) + (len(components) if components else 0)
        put(rows, o, subject, start, body(o, components, now), size)
        if previous is not None and previous != start:
            put(rows, o, subject, previous, (o["mapper_version"], o["version"], start, *NOTHING), FIELD_BYTES)
    return rows


def batches(rows: list[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        size += row.size
        if batch and (len(batch) == BATCH_ROWS or size > BATCH_BYTES):
            yield batch
            batch, size = [], row.size
        batch.append(row)
    yield batch


def put(rows: dict[Partition, list[Row]], o: Observation, subject: str, start: int, cell: tuple[Any, ...], size: int) -> None:
    of = month(start // DAY)
    row = Row((subject, of, o["data_type"], start, UUID(o["id"]), cell, o["version"]), size)
    rows.setdefault((subject, of), []).append(row)


@lru_cache(4096)
def month(day: int) -> int:
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return date.year * 100 + date.month


def body(o: Observation, components: str | None, now: int) -> tuple[Any, ...]:
    device = o["device_id"]
    return (
        o["mapper_version"], o["version"], None, o["status"].replace("_", "-"), o["record_id"], connection(o["connection_id"]),
        o["provider"], o["stream"], o["lane"], o["code"], o["code_system"], o["category"], o["end"], o["utc_offset"],
        o["offset_origin"], o["local_date"], o["value"], o["value_text"], o["unit"], o["comparator"], o["value_code"],
        o["absent_reason"], components, None if device is None else connection(device), o["method"], o["source_modified"],
        o["raw_topic"], o["raw_partition"], o["raw_offset"], o["fhir"], -now,
    )  # fmt: skip


@lru_cache(65536)
def connection(text: str) -> UUID:
    """Of ids that many observations share."""
    return UUID(text)


def texts(components: list[dict[str, Any]]) -> str:
    given = [{name: value for name, value in c.items() if value is not None} for c in components]
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
