"""Runs until SIGTERM; ends with 0 then, and with an error at the first record it cannot map."""

import argparse
import signal
import sys

from . import stream


def main() -> int:
    parser = argparse.ArgumentParser(prog="normalize", description=__doc__)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("--from", required=True, metavar="TOPIC", dest="source")
    parser.add_argument("--to", required=True, metavar="TOPIC", dest="target")
    parser.add_argument("--group", required=True)
    parser.add_argument("--schema", required=True, metavar="FILE", help="Avro schema of an observation")
    parser.add_argument("--exactly-once", type=int, metavar="MILLISECONDS", help="transactions of this length")
    arguments = parser.parse_args()

    stop = stream.Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if arguments.exactly_once is None:
        stream.at_least_once(arguments, stop)
    else:
        stream.exactly_once(arguments, stop)
    return 0


sys.exit(main())
