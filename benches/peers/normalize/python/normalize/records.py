"""Avro in the Confluent wire format: a zero byte, the schema id as four bytes big-endian, the datum."""

import io
import json
import struct
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro

HEADER = struct.Struct(">bI")
CONTENT = "application/vnd.schemaregistry.v1+json"


class Registry:
    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def schema(self, schema_id: int) -> Any:
        return json.loads(self._ask(f"/schemas/ids/{schema_id}")["schema"])

    def register(self, subject: str, schema: str) -> int:
        path = f"/subjects/{urllib.parse.quote(subject, safe='')}/versions"
        return self._ask(path, json.dumps({"schema": schema}).encode())["id"]

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": CONTENT, "Accept": CONTENT})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


def decoder(registry: Registry) -> Callable[[bytes], dict[str, Any]]:
    """Decodes by the schema each value was written with, asked for once."""
    known: dict[int, Any] = {}

    def decode(value: bytes) -> dict[str, Any]:
        magic, schema_id = HEADER.unpack_from(value)
        if magic != 0:
            raise ValueError(f"first byte is {magic:#04x}, expected 0x00 before the schema id")
        schema = known.get(schema_id)
        if schema is None:
            schema = known[schema_id] = fastavro.parse_schema(plain(registry.schema(schema_id)))
        datum = io.BytesIO(value)
        datum.seek(HEADER.size)
        return fastavro.schemaless_reader(datum, schema, None)

    return decode


def encoder(registry: Registry, topic: str, schema_file: Path) -> Callable[[dict[str, Any]], bytes]:
    """Encodes by a schema that is registered for the values of `topic`."""
    text = schema_file.read_text()
    schema = fastavro.parse_schema(plain(json.loads(text)))
    header = HEADER.pack(0, registry.register(f"{topic}-value", text))

    def encode(record: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        out.write(header)
        fastavro.schemaless_writer(out, schema, record)
        return out.getvalue()

    return encode


def plain(schema: Any) -> Any:
    """The schema without logical types: ids stay text and times stay numbers, which is what both ends want."""
    if isinstance(schema, dict):
        return {key: plain(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [plain(value) for value in schema]
    return schema
