"""What schemathesis does beside asking: counts the answers that held rows, and spares the people whom the others are asked about."""

import json
import os
from pathlib import Path

import schemathesis

COUNTS = Path(os.environ["HEADWATER_API_COUNTS"])
# Whoever may be erased and disconnected: one person and their connections.
SPENT = set(os.environ["HEADWATER_API_SPENT"].split())
ENDS = {"DELETE /v1/subjects/{subject}", "DELETE /v1/connections/{id}", "POST /v1/connections/{id}/deactivate"}
REAL = set(os.environ["HEADWATER_API_REAL"].split())

# Words of FHIR's grammar, in place of made-up ones: a search with one wrong word is refused and finds nothing.
WORDS = {
    "code": "http://loinc.org|8867-4,29463-7",
    "category": "vital-signs,activity,procedure,laboratory",
    "status": "final,amended,preliminary",
    "date": ["ge2020-01-01"],
    "_lastUpdated": ["ge2020", "lt2999-12-31T00:00:00Z"],
    "_sort": "date",
}

counts = {}


@schemathesis.hook
def map_query(context, query):
    """A search by FHIR names its patient once, and where the patient is real it is to find rows."""
    if not context.operation.path.startswith("/fhir/") or not query or query.get("patient") not in REAL:
        return query
    return {name: WORDS.get(name, value) for name, value in query.items() if name not in ("subject", "_cursor")}


@schemathesis.hook
def filter_case(context, case):
    """The rows of the others are still to be read."""
    given = (case.path_parameters or {}).values()
    return case.operation.label not in ENDS or all(value in SPENT or value not in REAL for value in map(str, given))


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.method.upper() != "GET":
        return
    answers = counts.setdefault(case.operation.label, {"ok": 0, "with_rows": 0})
    answers["ok"] += response.status_code == 200
    answers["with_rows"] += response.status_code == 200 and holds_rows(response)
    COUNTS.write_text(json.dumps(counts))


def holds_rows(response):
    kind = (response.headers.get("content-type") or [""])[0].split(";")[0]
    if kind == "text/csv":
        return response.content.count(b"\n") > 1
    if kind == "application/x-ndjson":
        return bool(response.content)
    if kind == "text/event-stream":
        return b"event: observation" in response.content
    body = response.json()
    if isinstance(body, list):
        return bool(body)
    lists = [body[name] for name in ("observations", "connections", "entry") if name in body]
    # What is no list is one thing, asked for by its id.
    return bool(lists[0]) if lists else body.get("resourceType") != "Bundle"
