"""From one raw record to its observations: columns and FHIR."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from . import fhir, getmeas, ids

MAPPER_VERSION = 2
MICROS = 1_000_000

zone = lru_cache(maxsize=None)(ZoneInfo)


def observations(raw: dict[str, Any], topic: str, partition: int, offset: int) -> Iterator[dict[str, Any]]:
    if (raw["provider"], raw["stream"]) != ("withings", "getmeas") or raw["origin"] == "reconcile" or raw["amended"]:
        raise ValueError("expected a first answer of Withings' getmeas")
    if raw["encryption"] is not None:
        raise ValueError("expected a body that is not sealed")
    body = getmeas.parse(raw["body"])
    place = (topic, partition, offset)
    for group in body.measuregrps:
        # A goal (category 2) is a wish, not a measurement.
        if group.category in (None, 1):
            yield from of_group(raw, body, group, place)


def of_group(
    raw: dict[str, Any], body: getmeas.Body, group: getmeas.Group, place: tuple[str, int, int]
) -> Iterator[dict[str, Any]]:
    topic, partition, offset = place
    connection, subject = raw["connection_id"], raw["subject_id"]
    status, method = getmeas.ATTRIBUTION.get(group.attrib, getmeas.UNKNOWN)
    effective, utc_offset, origin = moment(group.date, body.timezone, raw["time_zone"])
    named = group.deviceid or group.hash_deviceid
    device = ids.device(connection, subject, named) if named else None
    modified = group.modified * MICROS if group.modified is not None else None
    version = max(raw["fetched_at"] if modified is None else modified, raw["version_floor"] or 0)
    issued = fhir.instant(version)
    source = f"urn:headwater:{topic}:{partition}:{offset}"
    for entry in group.measures:
        measure = getmeas.MEASURES.get(entry.type)
        if measure is None:
            continue
        record_id = f"{group.grpid}:{entry.type}"
        id = ids.observation(connection, subject, measure.slug, record_id)
        value = entry.decimal()
        # What is not set here is the schema's default.
        yield {
            "id": id,
            "record_id": record_id,
            "subject_id": subject,
            "connection_id": connection,
            "provider": raw["provider"],
            "stream": raw["stream"],
            "lane": raw["lane"],
            "data_type": measure.slug,
            "code": measure.code,
            "code_system": fhir.LOINC,
            "category": "vital-signs",
            "status": status,
            "start": group.date * MICROS,
            "utc_offset": utc_offset,
            "offset_origin": origin,
            "value": float(value),
            "value_text": format(value, "f"),
            "unit": measure.unit,
            "device_id": device,
            "method": method,
            "source_modified": modified,
            "version": version,
            "raw_topic": topic,
            "raw_partition": partition,
            "raw_offset": offset,
            "mapper_version": MAPPER_VERSION,
            "fhir": fhir.render(
                raw,
                measure,
                id=id,
                source=source,
                status=status,
                effective=effective,
                origin=origin,
                issued=issued,
                value=value,
                method=method,
                device=device,
            ),
        }


def moment(seconds: int, own: str | None, profile: str | None) -> tuple[str, int | None, str]:
    """When, with the offset of the zone that the answer names, else of the person's profile; that offset; and whose it is."""
    name = own or profile
    if name is None:
        return fhir.instant(seconds * MICROS), None, "none"
    local = datetime.fromtimestamp(seconds, zone(name))
    return local.isoformat(), int(local.utcoffset().total_seconds()), "zone" if own else "profile"
