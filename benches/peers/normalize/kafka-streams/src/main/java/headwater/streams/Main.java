package headwater.streams;

import headwater.Observation;
import headwater.Raw;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import sun.misc.Signal;

/** Raw records of Withings' {@code getmeas} become observations. */
public final class Main {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    public static void main(String[] arguments) throws Exception {
        Options options = Options.parse(arguments);
        CountDownLatch ended = new CountDownLatch(1);
        AtomicBoolean failed = new AtomicBoolean();
        KafkaStreams streams = new KafkaStreams(topology(options), settings(options));
        streams.setUncaughtExceptionHandler(why -> {
            why.printStackTrace();
            failed.set(true);
            ended.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        // A shutdown hook cannot change that the JVM answers SIGTERM with 143; here it means a stop in order.
        Signal.handle(new Signal("TERM"), signal -> ended.countDown());
        streams.start();
        ended.await();
        boolean closed = streams.close(
                CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP).withTimeout(PATIENCE));
        System.exit(closed && !failed.get() ? 0 : 1);
    }

    private static Topology topology(Options options) throws Exception {
        Registry registry = new Registry(options.registry());
        Serde<Raw> raw = Wire.reading(registry, Raw.getClassSchema());
        Serde<Observation> observation =
                Wire.writing(registry.register(options.to() + "-value", "/observation/v1.avsc"), Observation.getClassSchema());
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(options.from(), Consumed.with(Serdes.ByteArray(), raw))
                .process(Normalize::new)
                .to(options.to(), Produced.with(Serdes.String(), observation));
        return builder.build();
    }

    private static Properties settings(Options options) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, options.group());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.bootstrap());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        if (options.exactlyOnce() == null) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 250);
        } else {
            settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, options.exactlyOnce());
        }
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG), 100);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG), true);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 25);
        // The default of 16 KiB is ten observations: too few for lz4 to find what they share.
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 32 * 1024 * 1024);
        return settings;
    }

    private Main() {}
}
