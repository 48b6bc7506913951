package headwater.streams;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import headwater.Method;
import headwater.Observation;
import headwater.OffsetOrigin;
import headwater.Status;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import org.apache.avro.util.Utf8;

/** The FHIR R4 Observation of an observation, as JSON. */
final class Fhir {
    private static final String CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category";
    private static final String TAGS = "urn:headwater:codesystem:tag";
    private static final String UCUM = "http://unitsofmeasure.org";

    private final JsonFactory json =
            JsonFactory.builder().enable(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN).build();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(2048);

    Utf8 render(Observation o, Measure measure, BigDecimal value, String effective) throws IOException {
        out.reset();
        try (JsonGenerator j = json.createGenerator(out)) {
            j.writeStartObject();
            j.writeStringField("resourceType", "Observation");
            j.writeStringField("id", o.getId().toString());
            meta(j, o, measure);
            j.writeArrayFieldStart("identifier");
            j.writeStartObject();
            j.writeStringField("system", "urn:headwater:record:" + o.getProvider());
            j.writeStringField("value", o.getId().toString());
            j.writeEndObject();
            j.writeEndArray();
            j.writeStringField("status", status(o.getStatus()));
            j.writeArrayFieldStart("category");
            j.writeStartObject();
            coding(j, CATEGORIES, Measure.CATEGORY);
            j.writeEndObject();
            j.writeEndArray();
            j.writeObjectFieldStart("code");
            coding(j, Measure.SYSTEM, measure.code);
            j.writeStringField("text", measure.text);
            j.writeEndObject();
            reference(j, "subject", "Patient/" + o.getSubjectId());
            j.writeStringField("effectiveDateTime", effective);
            j.writeStringField("issued", Stamp.utc(Stamp.ofMicros(o.getVersion())));
            j.writeObjectFieldStart("valueQuantity");
            j.writeNumberField("value", value);
            j.writeStringField("unit", measure.unit);
            j.writeStringField("system", UCUM);
            j.writeStringField("code", measure.unit);
            j.writeEndObject();
            if (o.getMethod() == Method.manual) {
                j.writeObjectFieldStart("method");
                j.writeStringField("text", "entered by hand");
                j.writeEndObject();
            }
            if (o.getDeviceId() != null) {
                reference(j, "device", "Device/" + o.getDeviceId());
            }
            j.writeEndObject();
        }
        return new Utf8(out.toByteArray());
    }

    private static void meta(JsonGenerator j, Observation o, Measure measure) throws IOException {
        j.writeObjectFieldStart("meta");
        j.writeStringField("source", "urn:headwater:" + o.getRawTopic() + ":" + o.getRawPartition() + ":" + o.getRawOffset());
        if (measure.profile != null) {
            j.writeArrayFieldStart("profile");
            j.writeString(measure.profile);
            j.writeEndArray();
        }
        j.writeArrayFieldStart("tag");
        tag(j, o.getProvider().toString());
        // An offset that is missing or only inferred is not to be taken for a fact.
        if (o.getOffsetOrigin() == OffsetOrigin.none) {
            tag(j, "time-zone-unknown");
        } else if (o.getOffsetOrigin() == OffsetOrigin.profile) {
            tag(j, "time-zone-from-profile");
        }
        j.writeEndArray();
        j.writeEndObject();
    }

    private static void tag(JsonGenerator j, String code) throws IOException {
        j.writeStartObject();
        j.writeStringField("system", TAGS);
        j.writeStringField("code", code);
        j.writeEndObject();
    }

    private static void coding(JsonGenerator j, String system, String code) throws IOException {
        j.writeArrayFieldStart("coding");
        j.writeStartObject();
        j.writeStringField("system", system);
        j.writeStringField("code", code);
        j.writeEndObject();
        j.writeEndArray();
    }

    private static void reference(JsonGenerator j, String name, String to) throws IOException {
        j.writeObjectFieldStart(name);
        j.writeStringField("reference", to);
        j.writeEndObject();
    }

    private static String status(Status status) {
        return switch (status) {
            case preliminary -> "preliminary";
            case final$ -> "final";
            case amended -> "amended";
            case entered_in_error -> "entered-in-error";
            case unknown -> "unknown";
        };
    }
}
