"""Identities: UUIDv5 over parts that are each ended by a zero byte."""

import hashlib
import uuid

NAMESPACE = uuid.UUID("92f01e02-78f0-5c73-a6f5-9bd90905fac4").bytes
# The two high bits of this digit are the variant.
VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def observation(connection: str, subject: str, data_type: str, record_id: str) -> str:
    return of("observation", connection, subject, data_type, record_id)


def device(connection: str, subject: str, provider_device: str) -> str:
    return of("device", connection, subject, provider_device)


def of(*parts: str) -> str:
    # `uuid.uuid5` says the same through an object with an integer in it, at several times the cost.
    name = "\0".join(parts) + "\0"
    h = hashlib.sha1(NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"
