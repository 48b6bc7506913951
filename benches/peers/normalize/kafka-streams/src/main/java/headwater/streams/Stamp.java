package headwater.streams;

import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;

import headwater.OffsetOrigin;

/** An instant, the person's offset where a zone is known, and whose zone that was. */
record Stamp(Instant instant, ZoneOffset offset, OffsetOrigin origin) {
    private static final DateTimeFormatter OF_PERSON = new DateTimeFormatterBuilder()
            .append(DateTimeFormatter.ISO_LOCAL_DATE_TIME)
            .appendOffset("+HH:MM", "+00:00")
            .toFormatter();
    private static final DateTimeFormatter OF_NOBODY =
            new DateTimeFormatterBuilder().append(DateTimeFormatter.ISO_LOCAL_DATE_TIME).appendLiteral('Z').toFormatter();

    static Stamp of(long seconds, String own, CharSequence profile) {
        Instant instant = Instant.ofEpochSecond(seconds);
        if (own != null) {
            return new Stamp(instant, ZoneId.of(own).getRules().getOffset(instant), OffsetOrigin.zone);
        }
        if (profile != null) {
            return new Stamp(instant, ZoneId.of(profile.toString()).getRules().getOffset(instant), OffsetOrigin.profile);
        }
        return new Stamp(instant, null, OffsetOrigin.none);
    }

    static Instant ofMicros(long micros) {
        return Instant.ofEpochSecond(Math.floorDiv(micros, 1_000_000L), Math.floorMod(micros, 1_000_000L) * 1000);
    }

    long micros() {
        return instant.getEpochSecond() * 1_000_000 + instant.getNano() / 1000;
    }

    /** As FHIR writes it. */
    String dateTime() {
        return offset == null ? utc(instant) : OF_PERSON.format(instant.atOffset(offset));
    }

    static String utc(Instant instant) {
        return OF_NOBODY.format(instant.atOffset(ZoneOffset.UTC));
    }
}
