package headwater.streams;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * The answer of {@code getmeas}, as far as it is mapped. What is not is ignored by annotation: ignored by configuration, Jackson would keep it until it has
 * all that a record is made of.
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record Getmeas(@JsonProperty(required = true) int status, Body body) {
    private static final ObjectReader READER = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
            .build()
            .readerFor(Getmeas.class);

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Body(@JsonProperty(required = true) List<Group> measuregrps, String timezone) {}

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Group(
            @JsonProperty(required = true) long grpid,
            @JsonProperty(required = true) int attrib,
            @JsonProperty(required = true) long date,
            Long modified,
            Integer category,
            String deviceid,
            @JsonProperty("hash_deviceid") String hashDeviceid,
            @JsonProperty(required = true) List<Entry> measures) {

        /** A goal is a wish, not a measurement. */
        boolean measured() {
            return category == null || category == 1;
        }

        /** The id of the device, or null. */
        String device() {
            return deviceid != null && !deviceid.isBlank() ? deviceid : hashDeviceid;
        }
    }

    @JsonIgnoreProperties(ignoreUnknown = true)
    record Entry(
            @JsonProperty(required = true) long value,
            @JsonProperty(value = "type", required = true) int kind,
            @JsonProperty(required = true) int unit) {

        /** {@code value × 10^unit} with exactly its digits. */
        BigDecimal decimal() {
            BigDecimal decimal = BigDecimal.valueOf(value, -unit);
            return unit > 0 ? decimal.setScale(0) : decimal;
        }
    }

    /** The body of a stored answer. */
    static Body read(ByteBuffer bytes) throws IOException {
        Getmeas answer = READER.readValue(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
        if (answer.status != 0 || answer.body == null) {
            throw new IOException("status " + answer.status + " of the provider, expected 0 and a body");
        }
        return answer.body;
    }
}
