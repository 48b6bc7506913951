package headwater.sink;

import com.fasterxml.jackson.databind.json.JsonMapper;
import headwater.Observation;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DatumReader;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;

/** Confluent's wire format: a zero byte, the schema id as four bytes, the datum. A schema is asked of the registry once. Belongs to one thread. */
final class Records implements Deserializer<Observation> {
    private static final int HEADER = 5;
    private static final Duration TIMEOUT = Duration.ofSeconds(20);

    private final String registry;
    private final Map<Integer, DatumReader<Observation>> readers = new HashMap<>();
    private BinaryDecoder decoder;

    Records(String registry) {
        this.registry = registry;
    }

    @Override
    public Observation deserialize(String topic, byte[] bytes) {
        if (bytes == null || bytes.length < HEADER || bytes[0] != 0) {
            throw new SerializationException("a value of " + topic + ", expected a zero byte and a schema id before the datum");
        }
        try {
            int id = ByteBuffer.wrap(bytes).getInt(1);
            DatumReader<Observation> reader = readers.get(id);
            if (reader == null) {
                reader = new SpecificDatumReader<>(schema(id), Observation.getClassSchema());
                readers.put(id, reader);
            }
            decoder = DecoderFactory.get().binaryDecoder(bytes, HEADER, bytes.length - HEADER, decoder);
            return reader.read(null, decoder);
        } catch (IOException e) {
            throw new SerializationException("a value of " + topic + " cannot be read", e);
        }
    }

    private Schema schema(int id) throws IOException {
        HttpRequest request =
                HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).timeout(TIMEOUT).GET().build();
        HttpResponse<byte[]> answer;
        try {
            answer = HttpClient.newBuilder().connectTimeout(TIMEOUT).build().send(request, BodyHandlers.ofByteArray());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while the registry was asked", e);
        }
        if (answer.statusCode() != 200) {
            throw new IOException("registry answered " + answer.statusCode() + " to " + request.uri().getPath() + ", expected 200");
        }
        return new Schema.Parser().parse(new JsonMapper().readTree(answer.body()).required("schema").textValue());
    }
}
