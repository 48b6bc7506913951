"""Takes signed webhooks and puts a hint of each onto a topic before it answers. Runs until SIGTERM and ends with 0 then."""

import argparse
import signal
import sys
from pathlib import Path

import uvicorn

from .app import build
from .hints import Encoder
from .log import Log

SWITCH = 0.0005


def main() -> int:
    parser = argparse.ArgumentParser(prog="door", description=__doc__)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("--to", required=True, metavar="TOPIC")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--key", required=True, help="signing key of the webhooks")
    parser.add_argument("--schema", required=True, type=Path, metavar="FILE", help="Avro schema of a hint")
    arguments = parser.parse_args()

    # uvicorn ends in order and then raises the signal again, which would make a failure of it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # The thread that brings acknowledgements would wait 5 ms for its turn while the event loop is busy.
    sys.setswitchinterval(SWITCH)
    encoder = Encoder(arguments.registry, arguments.to, arguments.schema)
    log = Log(arguments.bootstrap, arguments.to)
    host, port = arguments.listen.rsplit(":", 1)
    uvicorn.run(
        build(arguments.key, encoder, log),
        host=host,
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
    )
    return 0


sys.exit(main())
