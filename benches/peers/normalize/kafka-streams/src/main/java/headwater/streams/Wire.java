package headwater.streams;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DatumReader;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/** Confluent's wire format: a zero byte, the schema id as four bytes, the datum. Each serde belongs to the one stream thread. */
final class Wire {
    private static final int HEADER = 5;

    static <T extends SpecificRecord> Serde<T> reading(Registry registry, Schema schema) {
        return Serdes.serdeFrom(
                (topic, value) -> {
                    throw new SerializationException("records of " + topic + " are only read");
                },
                new Reader<>(registry, schema));
    }

    static <T extends SpecificRecord> Serde<T> writing(int id, Schema schema) {
        return Serdes.serdeFrom(new Writer<>(id, schema), (topic, bytes) -> {
            throw new SerializationException("records of " + topic + " are only written");
        });
    }

    private static final class Reader<T> implements Deserializer<T> {
        private final Registry registry;
        private final Schema schema;
        private final Map<Integer, DatumReader<T>> readers = new HashMap<>();
        private BinaryDecoder decoder;

        Reader(Registry registry, Schema schema) {
            this.registry = registry;
            this.schema = schema;
        }

        @Override
        public T deserialize(String topic, byte[] bytes) {
            if (bytes == null || bytes.length < HEADER || bytes[0] != 0) {
                throw new SerializationException("a value of " + topic + ", expected a zero byte and a schema id before the datum");
            }
            try {
                DatumReader<T> reader = reader(ByteBuffer.wrap(bytes).getInt(1));
                decoder = DecoderFactory.get().binaryDecoder(bytes, HEADER, bytes.length - HEADER, decoder);
                return reader.read(null, decoder);
            } catch (IOException e) {
                throw new SerializationException("a value of " + topic + " cannot be read", e);
            }
        }

        private DatumReader<T> reader(int id) throws IOException {
            DatumReader<T> reader = readers.get(id);
            if (reader == null) {
                reader = new SpecificDatumReader<>(registry.byId(id), schema);
                readers.put(id, reader);
            }
            return reader;
        }
    }

    private static final class Writer<T> implements Serializer<T> {
        private final byte[] header;
        private final SpecificDatumWriter<T> writer;
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(4096);
        private BinaryEncoder encoder;

        Writer(int id, Schema schema) {
            this.header = ByteBuffer.allocate(HEADER).putInt(1, id).array();
            this.writer = new SpecificDatumWriter<>(schema);
        }

        @Override
        public byte[] serialize(String topic, T value) {
            out.reset();
            out.write(header, 0, HEADER);
            try {
                encoder = EncoderFactory.get().binaryEncoder(out, encoder);
                writer.write(value, encoder);
                encoder.flush();
            } catch (IOException e) {
                throw new SerializationException("a value for " + topic + " cannot be written", e);
            }
            return out.toByteArray();
        }
    }

    private Wire() {}
}
