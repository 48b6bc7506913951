package headwater.sink;

import headwater.Observation;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import sun.misc.Signal;

/** Observations go into Cassandra. */
public final class Main implements ConsumerRebalanceListener {
    private static final long COMMIT_NANOS = Duration.ofMillis(250).toNanos();
    private static final Duration POLL = Duration.ofMillis(100);

    /** What one poll brought: how far it reaches, and what ends when it is written. */
    private record Window(Map<TopicPartition, OffsetAndMetadata> ends, CompletableFuture<Void> written) {}

    private final KafkaConsumer<byte[], Observation> consumer;
    private final Deque<Window> open = new ArrayDeque<>();
    private volatile boolean ended;

    public static void main(String[] arguments) throws Exception {
        Options options = Options.parse(arguments);
        try (KafkaConsumer<byte[], Observation> consumer =
                        new KafkaConsumer<>(settings(options), new ByteArrayDeserializer(), new Records(options.registry()));
                Store store = new Store(options)) {
            Main main = new Main(consumer);
            // A shutdown hook cannot change that the JVM answers SIGTERM with 143; here it means a stop in order.
            Signal.handle(new Signal("TERM"), signal -> main.ended = true);
            main.run(options.from(), store);
        }
        System.exit(0);
    }

    private Main(KafkaConsumer<byte[], Observation> consumer) {
        this.consumer = consumer;
    }

    private void run(String topic, Store store) throws InterruptedException {
        consumer.subscribe(List.of(topic), this);
        long due = System.nanoTime() + COMMIT_NANOS;
        while (!ended) {
            ConsumerRecords<byte[], Observation> records = consumer.poll(POLL);
            if (!records.isEmpty()) {
                List<Observation> observations = new ArrayList<>(records.count());
                for (ConsumerRecord<byte[], Observation> record : records) {
                    observations.add(record.value());
                }
                open.add(new Window(records.nextOffsets(), store.write(observations)));
            }
            if (System.nanoTime() >= due) {
                Map<TopicPartition, OffsetAndMetadata> ends = written();
                if (!ends.isEmpty()) {
                    // The next commit reaches further; one that failed only makes repeats after a crash.
                    consumer.commitAsync(ends, null);
                }
                due = System.nanoTime() + COMMIT_NANOS;
            }
        }
        settle();
    }

    /** How far all is written, up to the first poll that is not. Throws where one cannot be. */
    private Map<TopicPartition, OffsetAndMetadata> written() {
        Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
        while (!open.isEmpty() && open.peek().written().isDone()) {
            Window window = open.remove();
            window.written().join();
            ends.putAll(window.ends());
        }
        return ends;
    }

    private void settle() {
        open.forEach(window -> window.written().join());
        Map<TopicPartition, OffsetAndMetadata> ends = written();
        if (!ends.isEmpty()) {
            consumer.commitSync(ends);
        }
    }

    /** What was taken of partitions that go to another member is written and committed first. */
    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        settle();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

    private static Properties settings(Options options) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, options.bootstrap());
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, options.group());
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, CooperativeStickyAssignor.class.getName());
        settings.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 100);
        settings.put(ConsumerConfig.FETCH_MAX_BYTES_CONFIG, 4 * 1024 * 1024);
        settings.put(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 256 * 1024);
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 500);
        return settings;
    }
}
