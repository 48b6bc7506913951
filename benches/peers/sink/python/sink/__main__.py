"""Observations go into Cassandra. Ends with 0 at SIGTERM, and with an error at the first record that cannot be read or written."""

import argparse
import signal
import sys

from . import stream


def main() -> int:
    parser = argparse.ArgumentParser(prog="sink", description=__doc__)
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("--from", required=True, metavar="TOPIC", dest="source")
    parser.add_argument("--group", required=True)
    parser.add_argument("--node", required=True, metavar="HOST:PORT")
    parser.add_argument("--keyspace", required=True)
    arguments = parser.parse_args()

    stop = stream.Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stream.run(arguments, stop)
    return 0


sys.exit(main())
