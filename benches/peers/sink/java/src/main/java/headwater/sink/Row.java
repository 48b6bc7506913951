package headwater.sink;

import com.datastax.oss.driver.api.core.data.UdtValue;
import com.datastax.oss.driver.api.core.type.UserDefinedType;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import headwater.Component;
import headwater.Observation;
import headwater.Status;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/** A row to write: an observation at its place, or, where it has moved, the mark it leaves at its old one. */
record Row(Observation of, long start, boolean moved, String components) {
    private static final JsonMapper JSON = new JsonMapper();
    /** As FHIR writes them. Not the names of the enum: Java cannot call one "final", Avro cannot have a hyphen. */
    private static final List<String> STATUSES = Status.getClassSchema().getEnumSymbols().stream()
            .map(symbol -> symbol.replace('_', '-'))
            .toList();
    /** Beside the texts that may be long. */
    private static final int FIELDS = 500;

    record Partition(String subject, int month) {}

    static Row of(Observation o) {
        return new Row(o, o.getStart(), false, components(o.getComponents()));
    }

    static Row moved(Observation o) {
        return new Row(o, o.getPreviousStart(), true, null);
    }

    Partition partition() {
        var day = Instant.ofEpochSecond(Math.floorDiv(start, 1_000_000L)).atOffset(ZoneOffset.UTC);
        return new Partition(of.getSubjectId(), day.getYear() * 100 + day.getMonthValue());
    }

    /** About how many bytes it takes. */
    int size() {
        return moved ? FIELDS : FIELDS + of.getFhir().length() + (components == null ? 0 : components.length());
    }

    /** What is not set is null inside the one cell. */
    UdtValue body(Fields at, long now) {
        UdtValue body = at.type.newValue();
        body.setInt(at.mapperVersion, of.getMapperVersion());
        body.setLong(at.version, of.getVersion());
        if (moved) {
            return body.setLong(at.movedTo, of.getStart());
        }
        body.setString(at.status, STATUSES.get(of.getStatus().ordinal()));
        body.setString(at.recordId, of.getRecordId());
        body.setUuid(at.connectionId, UUID.fromString(of.getConnectionId()));
        body.setString(at.provider, of.getProvider());
        body.setString(at.stream, of.getStream());
        body.setString(at.lane, of.getLane().name());
        body.setString(at.code, of.getCode());
        body.setString(at.codeSystem, of.getCodeSystem());
        body.setString(at.category, of.getCategory());
        longAt(body, at.endAt, of.getEnd());
        if (of.getUtcOffset() != null) {
            body.setInt(at.utcOffset, of.getUtcOffset());
        }
        body.setString(at.offsetOrigin, of.getOffsetOrigin().name());
        body.setString(at.localDate, of.getLocalDate());
        if (of.getValue() != null) {
            body.setDouble(at.value, of.getValue());
        }
        body.setString(at.valueText, of.getValueText());
        body.setString(at.unit, of.getUnit());
        body.setString(at.comparator, of.getComparator());
        body.setString(at.valueCode, of.getValueCode());
        body.setString(at.absentReason, of.getAbsentReason());
        body.setString(at.components, components);
        if (of.getDeviceId() != null) {
            body.setUuid(at.deviceId, UUID.fromString(of.getDeviceId()));
        }
        body.setString(at.method, of.getMethod().name());
        longAt(body, at.sourceModified, of.getSourceModified());
        body.setString(at.rawTopic, of.getRawTopic());
        body.setInt(at.rawPartition, of.getRawPartition());
        body.setLong(at.rawOffset, of.getRawOffset());
        body.setString(at.fhir, of.getFhir());
        return body.setLong(at.storedAt, -now);
    }

    private static void longAt(UdtValue body, int at, Long value) {
        if (value != null) {
            body.setLong(at, value);
        }
    }

    private static String components(List<Component> components) {
        if (components.isEmpty()) {
            return null;
        }
        try {
            return JSON.writeValueAsString(components.stream().map(Row::component).toList());
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("components that are no JSON", e);
        }
    }

    private static Map<String, Object> component(Component c) {
        // In the order of the alphabet, as the column has them.
        Map<String, Object> map = new TreeMap<>();
        map.put("data_type", c.getDataType());
        map.put("code", c.getCode());
        map.put("value", c.getValue());
        map.put("value_text", c.getValueText());
        map.put("unit", c.getUnit());
        map.put("value_code", c.getValueCode());
        map.put("absent_reason", c.getAbsentReason());
        map.values().removeIf(value -> value == null);
        return map;
    }

    /** Where each field stands in the type: by number there is nothing to look up for each row. */
    static final class Fields {
        private final UserDefinedType type;
        private final int mapperVersion;
        private final int version;
        private final int movedTo;
        private final int status;
        private final int recordId;
        private final int connectionId;
        private final int provider;
        private final int stream;
        private final int lane;
        private final int code;
        private final int codeSystem;
        private final int category;
        private final int endAt;
        private final int utcOffset;
        private final int offsetOrigin;
        private final int localDate;
        private final int value;
        private final int valueText;
        private final int unit;
        private final int comparator;
        private final int valueCode;
        private final int absentReason;
        private final int components;
        private final int deviceId;
        private final int method;
        private final int sourceModified;
        private final int rawTopic;
        private final int rawPartition;
        private final int rawOffset;
        private final int fhir;
        private final int storedAt;

        Fields(UserDefinedType type) {
            this.type = type;
            mapperVersion = type.firstIndexOf("mapper_version");
            version = type.firstIndexOf("version");
            movedTo = type.firstIndexOf("moved_to");
            status = type.firstIndexOf("status");
            recordId = type.firstIndexOf("record_id");
            connectionId = type.firstIndexOf("connection_id");
            provider = type.firstIndexOf("provider");
            stream = type.firstIndexOf("stream");
            lane = type.firstIndexOf("lane");
            code = type.firstIndexOf("code");
            codeSystem = type.firstIndexOf("code_system");
            category = type.firstIndexOf("category");
            endAt = type.firstIndexOf("end_at");
            utcOffset = type.firstIndexOf("utc_offset");
            offsetOrigin = type.firstIndexOf("offset_origin");
            localDate = type.firstIndexOf("local_date");
            value = type.firstIndexOf("value");
            valueText = type.firstIndexOf("value_text");
            unit = type.firstIndexOf("unit");
            comparator = type.firstIndexOf("comparator");
            valueCode = type.firstIndexOf("value_code");
            absentReason = type.firstIndexOf("absent_reason");
            components = type.firstIndexOf("components");
            deviceId = type.firstIndexOf("device_id");
            method = type.firstIndexOf("method");
            sourceModified = type.firstIndexOf("source_modified");
            rawTopic = type.firstIndexOf("raw_topic");
            rawPartition = type.firstIndexOf("raw_partition");
            rawOffset = type.firstIndexOf("raw_offset");
            fhir = type.firstIndexOf("fhir");
            storedAt = type.firstIndexOf("stored_at");
        }
    }
}
