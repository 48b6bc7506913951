package headwater.streams;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import org.apache.avro.Schema;

/** A registry with Confluent's interface. Nobody asks it twice for the same schema: who asks keeps the answer. */
final class Registry {
    private static final Duration TIMEOUT = Duration.ofSeconds(20);
    private static final JsonMapper JSON = new JsonMapper();

    private final String url;
    private final HttpClient client = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();

    Registry(String url) {
        this.url = url;
    }

    Schema byId(int id) throws IOException {
        JsonNode answer = ask(HttpRequest.newBuilder(URI.create(url + "/schemas/ids/" + id)).GET());
        return new Schema.Parser().parse(answer.required("schema").textValue());
    }

    /** The id of a schema of this jar under a subject: it is the same text, so it has the same id everywhere. */
    int register(String subject, String resource) throws IOException {
        String schema;
        try (InputStream text = Registry.class.getResourceAsStream(resource)) {
            schema = new String(text.readAllBytes(), StandardCharsets.UTF_8);
        }
        String body = JSON.writeValueAsString(Map.of("schemaType", "AVRO", "schema", schema));
        JsonNode answer = ask(HttpRequest.newBuilder(URI.create(url + "/subjects/" + subject + "/versions"))
                .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                .POST(BodyPublishers.ofString(body)));
        return answer.required("id").intValue();
    }

    private JsonNode ask(HttpRequest.Builder request) throws IOException {
        HttpResponse<byte[]> answer;
        try {
            answer = client.send(request.timeout(TIMEOUT).build(), BodyHandlers.ofByteArray());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while the registry was asked", e);
        }
        if (answer.statusCode() != 200) {
            throw new IOException("registry answered " + answer.statusCode() + " to " + answer.uri().getPath() + ", expected 200");
        }
        return JSON.readTree(answer.body());
    }
}
