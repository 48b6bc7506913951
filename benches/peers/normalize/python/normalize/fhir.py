"""The FHIR R4 Observation, rendered per record."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from .getmeas import Measure

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
TAG = "urn:headwater:codesystem:tag"
METHODS = {"manual": "entered by hand"}
# Says when an offset is missing or only inferred.
ZONES = {"none": "time-zone-unknown", "profile": "time-zone-from-profile"}

# Decimals are written as numbers with all their digits.
_encode = msgspec.json.Encoder(decimal_format="number").encode


def render(
    raw: dict[str, Any],
    measure: Measure,
    *,
    id: str,
    source: str,
    status: str,
    effective: str,
    origin: str,
    issued: str,
    value: Decimal,
    method: str,
    device: str | None,
) -> str:
    tags = [{"system": TAG, "code": raw["provider"]}]
    if origin in ZONES:
        tags.append({"system": TAG, "code": ZONES[origin]})
    meta: dict[str, Any] = {"source": source, "tag": tags}
    if measure.profile is not None:
        meta["profile"] = [measure.profile]
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": id,
        "meta": meta,
        "identifier": [{"system": "urn:headwater:record:" + raw["provider"], "value": id}],
        "status": status,
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": measure.code}], "text": measure.text},
        "subject": {"reference": "Patient/" + raw["subject_id"]},
        "effectiveDateTime": effective,
        "issued": issued,
        "valueQuantity": {"value": value, "unit": measure.unit, "system": UCUM, "code": measure.unit},
    }
    if method in METHODS:
        resource["method"] = {"text": METHODS[method]}
    if device is not None:
        resource["device"] = {"reference": "Device/" + device}
    return _encode(resource).decode()


def instant(micros: int) -> str:
    """In UTC; fractions only where there are any."""
    seconds, fraction = divmod(micros, 1_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
    return f"{whole}.{fraction:06}".rstrip("0") + "Z" if fraction else whole + "Z"
