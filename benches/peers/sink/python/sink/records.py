"""Avro in the Confluent wire format: a zero byte, the schema id as four bytes big-endian, the datum."""

import io
import json
import struct
import urllib.request
from collections.abc import Callable
from typing import Any

import fastavro

HEADER = struct.Struct(">bI")
Observation = dict[str, Any]


def decoder(registry: str) -> Callable[[bytes], Observation]:
    """Decodes by the schema each value was written with, asked for once."""
    known: dict[int, Any] = {}

    def decode(value: bytes) -> Observation:
        magic, schema_id = HEADER.unpack_from(value)
        if magic != 0:
            raise ValueError(f"first byte is {magic:#04x}, expected 0x00 before the schema id")
        schema = known.get(schema_id)
        if schema is None:
            schema = known[schema_id] = fastavro.parse_schema(plain(ask(registry, schema_id)))
        datum = io.BytesIO(value)
        datum.seek(HEADER.size)
        return fastavro.schemaless_reader(datum, schema, None)

    return decode


def ask(registry: str, schema_id: int) -> Any:
    with urllib.request.urlopen(f"{registry.rstrip('/')}/schemas/ids/{schema_id}", timeout=20) as answer:
        return json.loads(json.load(answer)["schema"])


def plain(schema: Any) -> Any:
    """The schema without logical types: times stay numbers, which is what both ends want."""
    if isinstance(schema, dict):
        return {key: plain(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [plain(value) for value in schema]
    return schema
