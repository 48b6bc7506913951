"""Withings `getmeas`: groups of measurements taken together."""

from decimal import Decimal

import msgspec


class Entry(msgspec.Struct, gc=False):
    value: int
    type: int
    unit: int

    def decimal(self) -> Decimal:
        """`value × 10^unit`, with exactly the digits that this says: never through a float."""
        if self.unit > 0:
            return Decimal(self.value * 10**self.unit)
        return Decimal(self.value).scaleb(self.unit)


class Group(msgspec.Struct):
    grpid: int
    attrib: int
    date: int
    measures: list[Entry]
    modified: int | None = None
    category: int | None = None
    deviceid: str | None = None
    hash_deviceid: str | None = None


class Body(msgspec.Struct):
    measuregrps: list[Group]
    timezone: str | None = None


class Answer(msgspec.Struct):
    status: int
    body: Body | None = None


class Measure(msgspec.Struct, frozen=True):
    slug: str
    code: str
    text: str
    unit: str
    profile: str | None = None


MEASURES = {
    1: Measure("body-weight", "29463-7", "Body weight", "kg", "http://hl7.org/fhir/StructureDefinition/bodyweight"),
    6: Measure("body-fat", "41982-0", "Body fat percentage", "%"),
    76: Measure("muscle-mass", "73964-9", "Body muscle mass", "kg"),
}

# How a group came about: status and method. Attribution 1 may be somebody else who stood on the scale.
ATTRIBUTION = {
    **dict.fromkeys((0, 5, 7, 8, 15), ("final", "device")),
    1: ("preliminary", "device"),
    **dict.fromkeys((2, 4), ("final", "manual")),
}
UNKNOWN = ("final", "unknown")

_decoder = msgspec.json.Decoder(Answer)


def parse(payload: bytes) -> Body:
    answer = _decoder.decode(payload)
    if answer.status != 0 or answer.body is None:
        raise ValueError(f"expected data, found status {answer.status} of the provider")
    return answer.body
