package headwater.streams;

import com.fasterxml.uuid.Generators;
import com.fasterxml.uuid.impl.NameBasedGenerator;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** UUIDv5 over parts, each ended by a zero byte. */
final class Ids {
    private static final UUID NAMESPACE = UUID.fromString("92f01e02-78f0-5c73-a6f5-9bd90905fac4");

    private final NameBasedGenerator generator = Generators.nameBasedGenerator(NAMESPACE);
    private final ByteArrayOutputStream parts = new ByteArrayOutputStream(256);

    String observation(String connection, String subject, Measure measure, String record) {
        return of("observation", connection, subject, measure.slug, record);
    }

    String device(String connection, String subject, String device) {
        return of("device", connection, subject, device);
    }

    private String of(String... texts) {
        parts.reset();
        for (String text : texts) {
            parts.writeBytes(text.getBytes(StandardCharsets.UTF_8));
            parts.write(0);
        }
        return generator.generate(parts.toByteArray()).toString();
    }
}
