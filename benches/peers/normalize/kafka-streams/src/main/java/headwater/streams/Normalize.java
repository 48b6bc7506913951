package headwater.streams;

import headwater.Amended;
import headwater.Method;
import headwater.Observation;
import headwater.Raw;
import headwater.Status;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.List;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** One raw record in, one record for each of its observations out. */
final class Normalize implements Processor<byte[], Raw, String, Observation> {
    private static final int MAPPER_VERSION = 2;

    private final Ids ids = new Ids();
    private final Fhir fhir = new Fhir();
    private ProcessorContext<String, Observation> context;

    @Override
    public void init(ProcessorContext<String, Observation> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], Raw> record) {
        Raw raw = record.value();
        RecordMetadata position = context.recordMetadata().orElseThrow();
        try {
            if (!"withings".contentEquals(raw.getProvider()) || !"getmeas".contentEquals(raw.getStream()) || raw.getEncryption() != null) {
                throw new IOException("stream " + raw.getStream() + " of " + raw.getProvider() + ", expected getmeas of withings, not sealed");
            }
            Getmeas.Body body = Getmeas.read(raw.getBody());
            for (Getmeas.Group group : body.measuregrps()) {
                if (group.measured()) {
                    take(record, position, body, group);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(
                    "record " + position.offset() + " of " + position.topic() + "-" + position.partition() + " cannot be mapped", e);
        }
    }

    private void take(Record<byte[], Raw> record, RecordMetadata position, Getmeas.Body body, Getmeas.Group group) throws IOException {
        Raw raw = record.value();
        String subject = raw.getSubjectId().toString();
        String connection = raw.getConnectionId().toString();
        Stamp start = Stamp.of(group.date(), body.timezone(), raw.getTimeZone());
        String effective = start.dateTime();
        String device = group.device() == null ? null : ids.device(connection, subject, group.device());
        Long modified = group.modified() == null ? null : group.modified() * 1_000_000;
        for (Getmeas.Entry entry : group.measures()) {
            Measure measure = Measure.of(entry.kind());
            if (measure == null) {
                continue;
            }
            BigDecimal value = entry.decimal();
            Observation o = new Observation();
            String recordId = group.grpid() + ":" + entry.kind();
            o.setId(ids.observation(connection, subject, measure, recordId));
            o.setRecordId(recordId);
            o.setSubjectId(raw.getSubjectId());
            o.setConnectionId(raw.getConnectionId());
            o.setProvider(raw.getProvider());
            o.setStream(raw.getStream());
            o.setLane(raw.getLane());
            o.setDataType(measure.slug);
            o.setCode(measure.code.getValue());
            o.setCodeSystem(Measure.SYSTEM.getValue());
            o.setCategory(Measure.CATEGORY.getValue());
            o.setStatus(group.attrib() == 1 ? Status.preliminary : Status.final$);
            o.setStart(start.micros());
            o.setUtcOffset(start.offset() == null ? null : start.offset().getTotalSeconds());
            o.setOffsetOrigin(start.origin());
            o.setValue(value.doubleValue());
            o.setValueText(value.toPlainString());
            o.setUnit(measure.unit.getValue());
            o.setComponents(List.of());
            o.setDeviceId(device);
            o.setMethod(method(group.attrib()));
            o.setSourceModified(modified);
            o.setRawTopic(position.topic());
            o.setRawPartition(position.partition());
            o.setRawOffset(position.offset());
            o.setMapperVersion(MAPPER_VERSION);
            state(o, raw);
            o.setFhir(fhir.render(o, measure, value, effective));
            context.forward(record.withKey(subject).withValue(o));
        }
    }

    /** The source's own time of change orders the states of an observation; what changed without it is ordered by when it was seen. */
    private static void state(Observation o, Raw raw) {
        long version = o.getSourceModified() == null ? raw.getFetchedAt() : o.getSourceModified();
        for (Amended amended : raw.getAmended()) {
            if (amended.getId().toString().contentEquals(o.getId())) {
                version = Math.max(version, raw.getFetchedAt());
                if (o.getStatus() == Status.final$) {
                    o.setStatus(Status.amended);
                }
                if (amended.getPreviousStart() != o.getStart()) {
                    o.setPreviousStart(amended.getPreviousStart());
                }
            }
        }
        o.setVersion(raw.getVersionFloor() == null ? version : Math.max(version, raw.getVersionFloor()));
    }

    private static Method method(int attribution) {
        return switch (attribution) {
            case 0, 1, 5, 7, 8, 15 -> Method.device;
            case 2, 4 -> Method.manual;
            default -> Method.unknown;
        };
    }
}
