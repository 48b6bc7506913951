package headwater.streams;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.io.SerializedString;
import headwater.Method;
import headwater.Observation;
import headwater.OffsetOrigin;
import headwater.Status;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import org.apache.avro.util.Utf8;

/** The FHIR R4 Observation of an observation, as JSON. Its fixed words are encoded and escaped once. */
final class Fhir {
    private static final SerializableString RESOURCE_TYPE = word("resourceType");
    private static final SerializableString OBSERVATION = word("Observation");
    private static final SerializableString ID = word("id");
    private static final SerializableString META = word("meta");
    private static final SerializableString SOURCE = word("source");
    private static final SerializableString PROFILE = word("profile");
    private static final SerializableString TAG = word("tag");
    private static final SerializableString IDENTIFIER = word("identifier");
    private static final SerializableString STATUS = word("status");
    private static final SerializableString CATEGORY = word("category");
    private static final SerializableString CODING = word("coding");
    private static final SerializableString SYSTEM = word("system");
    private static final SerializableString CODE = word("code");
    private static final SerializableString TEXT = word("text");
    private static final SerializableString SUBJECT = word("subject");
    private static final SerializableString REFERENCE = word("reference");
    private static final SerializableString EFFECTIVE = word("effectiveDateTime");
    private static final SerializableString ISSUED = word("issued");
    private static final SerializableString QUANTITY = word("valueQuantity");
    private static final SerializableString VALUE = word("value");
    private static final SerializableString UNIT = word("unit");
    private static final SerializableString METHOD = word("method");
    private static final SerializableString DEVICE = word("device");

    private static final SerializableString BY_HAND = word("entered by hand");
    private static final SerializableString CATEGORIES = word("http://terminology.hl7.org/CodeSystem/observation-category");
    private static final SerializableString TAGS = word("urn:headwater:codesystem:tag");
    private static final SerializableString UCUM = word("http://unitsofmeasure.org");

    private final JsonFactory json =
            JsonFactory.builder().enable(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN).build();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream(2048);

    Utf8 render(Observation o, Measure measure, BigDecimal value, String effective) throws IOException {
        String id = o.getId().toString();
        out.reset();
        try (JsonGenerator j = json.createGenerator(out)) {
            j.writeStartObject();
            text(j, RESOURCE_TYPE, OBSERVATION);
            text(j, ID, id);
            meta(j, o, measure);
            openOnly(j, IDENTIFIER);
            text(j, SYSTEM, "urn:headwater:record:" + o.getProvider());
            text(j, VALUE, id);
            closeOnly(j);
            text(j, STATUS, status(o.getStatus()));
            openOnly(j, CATEGORY);
            coding(j, CATEGORIES, Measure.CATEGORY);
            closeOnly(j);
            open(j, CODE);
            coding(j, Measure.SYSTEM, measure.code);
            text(j, TEXT, measure.text);
            j.writeEndObject();
            reference(j, SUBJECT, "Patient/" + o.getSubjectId());
            text(j, EFFECTIVE, effective);
            text(j, ISSUED, Stamp.utc(Stamp.ofMicros(o.getVersion())));
            open(j, QUANTITY);
            j.writeFieldName(VALUE);
            j.writeNumber(value);
            text(j, UNIT, measure.unit);
            text(j, SYSTEM, UCUM);
            text(j, CODE, measure.unit);
            j.writeEndObject();
            if (o.getMethod() == Method.manual) {
                open(j, METHOD);
                text(j, TEXT, BY_HAND);
                j.writeEndObject();
            }
            if (o.getDeviceId() != null) {
                reference(j, DEVICE, "Device/" + o.getDeviceId());
            }
            j.writeEndObject();
        }
        return new Utf8(out.toByteArray());
    }

    private static void meta(JsonGenerator j, Observation o, Measure measure) throws IOException {
        open(j, META);
        text(j, SOURCE, "urn:headwater:" + o.getRawTopic() + ":" + o.getRawPartition() + ":" + o.getRawOffset());
        if (measure.profile != null) {
            j.writeFieldName(PROFILE);
            j.writeStartArray();
            j.writeString(measure.profile);
            j.writeEndArray();
        }
        j.writeFieldName(TAG);
        j.writeStartArray();
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
        text(j, SYSTEM, TAGS);
        text(j, CODE, code);
        j.writeEndObject();
    }

    private static void coding(JsonGenerator j, SerializableString system, SerializableString code) throws IOException {
        openOnly(j, CODING);
        text(j, SYSTEM, system);
        text(j, CODE, code);
        closeOnly(j);
    }

    private static void reference(JsonGenerator j, SerializableString name, String to) throws IOException {
        open(j, name);
        text(j, REFERENCE, to);
        j.writeEndObject();
    }

    private static void open(JsonGenerator j, SerializableString name) throws IOException {
        j.writeFieldName(name);
        j.writeStartObject();
    }

    /** An array of one object, as FHIR has so many. */
    private static void openOnly(JsonGenerator j, SerializableString name) throws IOException {
        j.writeFieldName(name);
        j.writeStartArray();
        j.writeStartObject();
    }

    private static void closeOnly(JsonGenerator j) throws IOException {
        j.writeEndObject();
        j.writeEndArray();
    }

    private static void text(JsonGenerator j, SerializableString name, String value) throws IOException {
        j.writeFieldName(name);
        j.writeString(value);
    }

    private static void text(JsonGenerator j, SerializableString name, SerializableString value) throws IOException {
        j.writeFieldName(name);
        j.writeString(value);
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

    private static SerializableString word(String text) {
        return new SerializedString(text);
    }
}
