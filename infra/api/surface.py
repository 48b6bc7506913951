"""Asks every operation of /openapi.json by schemathesis: surface.py API TOKEN EXAMPLES. Ends with 1 when an answer is not as described, or when an
operation that reads never answered with a row."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

HERE = Path(__file__).parent
# What has rows to read.
READING = [
    "GET /fhir/Device",
    "GET /fhir/Observation",
    "GET /fhir/Observation/$lastn",
    "GET /fhir/Patient/{id}",
    "GET /health/export",
    "GET /health/live",
    "GET /health/observations",
    "GET /health/observations/latest",
    "GET /v1/connections",
    "GET /v1/connections/{id}",
    "GET /v1/providers",
]


def main(api, token, examples):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "schemathesis.toml").write_text((HERE / "schemathesis.toml").read_text())
        real = write_dictionaries(folder, api, token)
        counts = folder / "counts.json"
        environment = {
            **os.environ,
            "HEADWATER_API_TOKEN": token,
            "HEADWATER_API_COUNTS": str(counts),
            "HEADWATER_API_SPENT": " ".join(real["spent"]),
            "HEADWATER_API_REAL": " ".join(real["all"]),
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
        }
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run"]
        command += [f"{api}/openapi.json", "--seed", "1", "--generation-database", "none"]
        command += ["--max-examples", examples, "--no-shrink", "--no-color"]
        ended = subprocess.run(command, env=environment, cwd=folder).returncode
        counts = json.loads(counts.read_text()) if counts.exists() else {}
    answered = rows_were_answered(counts)
    return 0 if ended == 0 and answered else 1


def write_dictionaries(folder, api, token):
    """Ids and places that lead to rows."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"

    def ask(path, **query):
        answer = session.get(api + path, params=query, timeout=10)
        answer.raise_for_status()
        return answer.json()

    connections = {}
    for person in (f"person-{number}" for number in range(1, 100)):
        mine = [connection["id"] for connection in ask("/v1/connections", subject=person)["connections"]]
        if not mine:
            break
        connections[person] = mine
    people = list(connections)
    cursors = [page["next"] for person in people if "next" in (page := ask("/health/observations", subject=person, limit=5))]
    write(folder / "people.dict", people)
    write(folder / "patients.dict", [f"Patient/{person}" for person in people])
    write(folder / "connections.dict", sum(connections.values(), []))
    write(folder / "cursors.dict", cursors)
    write(folder / "events.dict", [f"{partition}:0" for partition in range(4)])
    return {"all": people + sum(connections.values(), []), "spent": [people[-1], *connections[people[-1]]]}


def write(file, values):
    file.write_text("".join(f'"{value}"\n' for value in values))


def rows_were_answered(counts):
    ok, with_rows = (sum(answers[name] for answers in counts.values()) for name in ("ok", "with_rows"))
    print(f"surface: {with_rows} of {ok} answers with status 200 held rows")
    rowless = [label for label in READING if not counts.get(label, {}).get("with_rows")]
    for label in rowless:
        print(f"surface: {label} answered no row, expected some: nothing is known of its answers")
    return not rowless


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
