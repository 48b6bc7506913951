"""Reads each person as a FHIR client does, by libraries that know nothing of this server: client.py API. Every resource is parsed by the models of
R4B, which R4's resources are valid in. Ends with 1 when something is wrong."""

import csv
import io
import json
import sys
import time
from decimal import Decimal

import requests
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.device import Device
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from fhirpy import SyncFHIRClient

MODELS = {model.__name__: model for model in (Bundle, CapabilityStatement, Device, Observation, Patient)}
# Of a page: small, so that there are several; and of the plain ones, which are compared.
COUNT, LIMIT = 100, 1000
# Seconds for one person: at the start history is still coming in, and others' history uses up what a provider lets be asked in a minute.
PATIENCE = 150
errors = []


def main(api):
    try_the_models()
    parse(requests.get(f"{api}/fhir/metadata", timeout=10).json(), "metadata")
    parsed = people = pages = 0
    while token := token_of(api, f"person-{people + 1}"):
        person = f"person-{people + 1}"
        client = SyncFHIRClient(f"{api}/fhir", authorization=f"Bearer {token}")
        plain = requests.Session()
        plain.headers["Authorization"] = f"Bearer {token}"
        if not plain.get(f"{api}/v1/connections", timeout=10).json()["connections"]:
            break
        people += 1
        found = read(api, client, plain, person)
        parsed += found[0]
        pages += found[1]
    if pages <= people:
        errors.append(f"{pages} pages of {people} people, expected links to follow")
    for error in errors[:50]:
        print(f"client: {error}")
    print(f"client: {parsed} resources of {people} people parsed, {len(errors)} errors")
    return 1 if errors or not parsed else 0


def token_of(api, person):
    answer = requests.get(f"{api}/dev/token", params={"subject": person}, timeout=10)
    answer.raise_for_status()
    return answer.text


def read(api, client, plain, person):
    """Everything of one person; again for a while where something is not yet there or more was stored meanwhile, because both come by topics."""
    until = time.monotonic() + PATIENCE
    while True:
        pages = []
        client.requests_config = {"timeout": 60, "hooks": {"response": lambda answer, **_: pages.append(answer.json(parse_float=Decimal))}}
        before = count_plain(api, plain, person)
        # The library follows the links.
        followed = [found["id"] for found in client.resources("Observation").search(patient=person).limit(COUNT)]
        searched = len(pages)
        client.execute("Observation/$lastn", method="get", params={"patient": person})
        client.execute("Device", method="get", params={"patient": person})
        client.execute(f"Patient/{person}", method="get")
        counts = {"fhir": len(followed), "plain": before}
        counts |= {kind: count_export(api, plain, person, kind) for kind in ("ndjson", "csv")}
        quiet = before and before == count_plain(api, plain, person)
        resources = [entry["resource"] for page in pages for entry in page.get("entry", [])]
        nowhere = unresolved(resources, person)
        if (quiet and not nowhere) or time.monotonic() > until:
            break
        time.sleep(1)
    if not quiet:
        errors.append(f"{person}: {counts}, expected observations and, within {PATIENCE} s, quiet to count them")
    elif len(set(counts.values())) != 1:
        errors.append(f"{person}: {counts}, expected the same number of each")
    if len(set(followed)) != len(followed):
        errors.append(f"{person}: an id came twice, expected every one once")
    errors.extend(nowhere)

    patient = pages.pop()
    # Entries are parsed by themselves: what is wrong with one would only be told as the Bundle's.
    bundles = [{name: value for name, value in page.items() if name != "entry"} for page in pages]
    for resource in [*bundles, *resources, patient]:
        parse(resource, person)
    return len(bundles) + len(resources) + 1, searched


def unresolved(resources, person):
    """References that lead to no device that was answered, or to somebody else: one line for each place."""
    there = {f"Device/{resource['id']}" for resource in resources if resource["resourceType"] == "Device"}
    found = {}
    for resource in resources:
        device, subject = (resource.get(field, {}).get("reference") for field in ("device", "subject"))
        if device and device not in there:
            found[device] = f"{person}: {name(resource)} refers to {device}, expected one of the person's devices"
        if subject and subject != f"Patient/{person}":
            found[subject] = f"{person}: {name(resource)} is of {subject}, expected Patient/{person}"
    return list(found.values())


def count_plain(api, plain, person):
    query, count = {"subject": person, "limit": LIMIT}, 0
    while True:
        page = get(plain, f"{api}/health/observations", query).json()
        count += len(page["observations"])
        if "next" not in page:
            return count
        query["after"] = page["next"]


def count_export(api, plain, person, kind):
    text = get(plain, f"{api}/health/export", {"subject": person, "format": kind}).content.decode()
    if kind == "csv":
        return sum(1 for _ in csv.DictReader(io.StringIO(text)))
    return sum(1 for line in text.splitlines() if json.loads(line)["id"])


def get(plain, url, query):
    answer = plain.get(url, params=query, timeout=60)
    answer.raise_for_status()
    return answer


def parse(resource, whose):
    try:
        model = MODELS[resource["resourceType"]]
        model.model_validate(resource)
    except (KeyError, ValueError) as error:
        errors.append(f"{whose}: {name(resource)} is refused: {error}")


def name(resource):
    return f"{resource.get('resourceType')}/{resource.get('id', '')}"


def try_the_models():
    """Models that take anything would find nothing."""
    right = {"resourceType": "Observation", "status": "final", "code": {"text": "try"}, "valueQuantity": {"value": 1}}
    wrong = [{**right, "valueQuantity": {"value": "much"}}, {**right, "values": 1}, {k: v for k, v in right.items() if k != "code"}]
    parse(right, "the right one")
    if errors:
        sys.exit(f"client: the models refuse what is right: {errors[0]}")
    for resource in wrong:
        parse(resource, "the wrong one")
    if len(errors) != len(wrong):
        sys.exit(f"client: the models take what is wrong: {len(errors)} of {len(wrong)} refused")
    errors.clear()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
