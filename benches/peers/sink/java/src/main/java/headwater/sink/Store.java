package headwater.sink;

import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchType;
import com.datastax.oss.driver.api.core.cql.BatchableStatement;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.cql.Statement;
import headwater.Observation;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;

/** Writes observations: one unlogged batch per partition, many in flight. Belongs to one thread. */
final class Store implements AutoCloseable {
    private static final int BATCH_ROWS = 50;
    private static final int BATCH_BYTES = 100 * 1024;
    private static final int IN_FLIGHT = 384;
    /** Months that are remembered as written; then all are forgotten. */
    private static final int MONTHS = 100_000;

    private record Place(Row.Partition partition, String dataType) {}

    private final CqlSession session;
    private final PreparedStatement putRow;
    private final PreparedStatement putMonth;
    private final Row.Fields fields;
    private final Semaphore slots = new Semaphore(IN_FLIGHT);
    private final Set<Place> months = new HashSet<>();

    Store(Options options) {
        int colon = options.node().lastIndexOf(':');
        session = CqlSession.builder()
                .addContactPoint(new InetSocketAddress(
                        options.node().substring(0, colon), Integer.parseInt(options.node().substring(colon + 1))))
                .withKeyspace(options.keyspace())
                .build();
        putRow = session.prepare(SimpleStatement.newInstance("INSERT INTO observations (subject_id, month, data_type, start_at, id, body) "
                + "VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"));
        putMonth = session.prepare(
                SimpleStatement.builder("INSERT INTO observation_months (subject_id, month, data_type) VALUES (?, ?, ?)")
                        .setIdempotence(true)
                        .build());
        fields = new Row.Fields(session.getMetadata()
                .getKeyspace(options.keyspace())
                .flatMap(keyspace -> keyspace.getUserDefinedType("observation_body"))
                .orElseThrow(() -> new IllegalStateException("no type observation_body in the keyspace")));
    }

    /** Begins to write, as far as there is room, and gives what ends when all of it is written. */
    CompletableFuture<Void> write(Iterable<Observation> observations) throws InterruptedException {
        Map<Row.Partition, List<Row>> partitions = new HashMap<>();
        for (Observation o : observations) {
            add(partitions, Row.of(o));
            if (o.getPreviousStart() != null && o.getPreviousStart() != o.getStart()) {
                add(partitions, Row.moved(o));
            }
        }
        writeMonths(partitions);
        long now = System.currentTimeMillis() * 1000;
        List<CompletableFuture<?>> written = new ArrayList<>();
        for (Map.Entry<Row.Partition, List<Row>> partition : partitions.entrySet()) {
            List<BatchableStatement<?>> batch = new ArrayList<>();
            int bytes = 0;
            for (Row row : partition.getValue()) {
                bytes += row.size();
                if (!batch.isEmpty() && (batch.size() == BATCH_ROWS || bytes > BATCH_BYTES)) {
                    written.add(execute(batched(batch)));
                    batch = new ArrayList<>();
                    bytes = row.size();
                }
                batch.add(bound(partition.getKey(), row, now));
            }
            written.add(execute(batched(batch)));
        }
        return CompletableFuture.allOf(written.toArray(CompletableFuture[]::new));
    }

    @Override
    public void close() {
        session.close();
    }

    private static void add(Map<Row.Partition, List<Row>> partitions, Row row) {
        partitions.computeIfAbsent(row.partition(), partition -> new ArrayList<>()).add(row);
    }

    private BoundStatement bound(Row.Partition partition, Row row, long now) {
        Observation o = row.of();
        return putRow.boundStatementBuilder()
                .setString(0, partition.subject())
                .setInt(1, partition.month())
                .setString(2, o.getDataType())
                .setLong(3, row.start())
                .setUuid(4, UUID.fromString(o.getId()))
                .setUdtValue(5, row.body(fields, now))
                .setLong(6, o.getVersion())
                .build();
    }

    private static BatchStatement batched(List<BatchableStatement<?>> rows) {
        return BatchStatement.newInstance(BatchType.UNLOGGED, rows).setIdempotent(true);
    }

    /** The month first: a row in a month that nobody finds would be a row nobody reads. */
    private void writeMonths(Map<Row.Partition, List<Row>> partitions) throws InterruptedException {
        Set<Place> missing = new HashSet<>();
        partitions.forEach((partition, rows) -> rows.forEach(row -> {
            Place place = new Place(partition, row.of().getDataType());
            if (!months.contains(place)) {
                missing.add(place);
            }
        }));
        if (missing.isEmpty()) {
            return;
        }
        List<CompletableFuture<?>> written = new ArrayList<>();
        for (Place place : missing) {
            written.add(execute(putMonth.bind(place.partition().subject(), place.partition().month(), place.dataType())));
        }
        CompletableFuture.allOf(written.toArray(CompletableFuture[]::new)).join();
        if (months.size() + missing.size() > MONTHS) {
            months.clear();
        }
        months.addAll(missing);
    }

    private CompletableFuture<?> execute(Statement<?> statement) throws InterruptedException {
        slots.acquire();
        return session.executeAsync(statement).toCompletableFuture().whenComplete((done, failed) -> slots.release());
    }
}
