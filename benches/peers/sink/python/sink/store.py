"""Rows into Cassandra: one unlogged batch per partition, many in flight."""

import time
from collections.abc import Callable
from threading import BoundedSemaphore, Condition
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import BatchStatement, BatchType

from . import rows
from .records import Observation

IN_FLIGHT = 384
# Months that are remembered as written; then all are forgotten.
MONTHS = 100_000


class Written:
    """Counts down what is still to be written. Answers come on the driver's thread."""

    def __init__(self) -> None:
        self._left = 1
        self._why: BaseException | None = None
        self._changed = Condition()

    def more(self) -> None:
        with self._changed:
            self._left += 1

    def one(self, *_: Any) -> None:
        with self._changed:
            self._left -= 1
            if self._left == 0:
                self._changed.notify_all()

    def failed(self, why: BaseException) -> None:
        with self._changed:
            self._why = why
            self._changed.notify_all()

    def done(self) -> bool:
        """Raises why something cannot be written."""
        if self._why is not None:
            raise self._why
        return self._left == 0

    def wait(self) -> None:
        with self._changed:
            while not self.done():
                self._changed.wait()


class Store:
    def __init__(self, node: str, keyspace: str):
        host, port = node.rsplit(":", 1)
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy("datacenter1")),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            request_timeout=10,
        )
        self.cluster = Cluster([host], port=int(port), execution_profiles={EXEC_PROFILE_DEFAULT: profile})
        self.session = self.cluster.connect(keyspace)
        fields = tuple(self.cluster.metadata.keyspaces[keyspace].user_types["observation_body"].field_names)
        if fields != rows.FIELDS:
            raise ValueError(f"type observation_body has the fields {fields}, expected {rows.FIELDS}")
        self.put_row = self.session.prepare(
            "INSERT INTO observations (subject_id, month, data_type, start_at, id, body) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        )
        self.put_month = self.session.prepare("INSERT INTO observation_months (subject_id, month, data_type) VALUES (?, ?, ?)")
        self.put_month.is_idempotent = True
        self.slots = BoundedSemaphore(IN_FLIGHT)
        self.months: set[tuple[str, int, str]] = set()

    def write(self, observations: list[Observation]) -> Written:
        """Begins to write, as far as there is room."""
        partitions = rows.partitions(observations, time.time_ns() // 1000)
        self._write_months({row.values[:3] for of in partitions.values() for row in of})
        written = Written()
        for of in partitions.values():
            for batch in rows.batches(of):
                statement = BatchStatement(BatchType.UNLOGGED)
                statement.is_idempotent = True
                for row in batch:
                    statement.add(self.put_row, row.values)
                written.more()
                self._execute(statement, written)
        written.one()
        return written

    def close(self) -> None:
        self.cluster.shutdown()

    def _execute(self, statement: BatchStatement, written: Written) -> None:
        self.slots.acquire()
        self.session.execute_async(statement).add_callbacks(self._freeing(written.one), self._freeing(written.failed))

    def _freeing(self, then: Callable[[Any], None]) -> Callable[[Any], None]:
        def free(result: Any) -> None:
            then(result)
            self.slots.release()

        return free

    def _write_months(self, places: set[tuple[str, int, str]]) -> None:
        """The month first: a row in a month that nobody finds would be a row nobody reads."""
        missing = places - self.months
        if not missing:
            return
        execute_concurrent_with_args(self.session, self.put_month, list(missing), concurrency=100, raise_on_first_error=True)
        if len(self.months) + len(missing) > MONTHS:
            self.months.clear()
        self.months |= missing
