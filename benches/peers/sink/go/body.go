package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/apache/cassandra-gocql-driver/v2"
	"github.com/google/uuid"
)

// body is the cell with all that an observation says beside its key.
type body struct {
	*observation
	// moved is of what stays where an observation was before: only where it is now.
	moved      bool
	components []byte
	storedAt   int64
}

func newBody(o *observation, at int64) (*body, error) {
	b := &body{observation: o, storedAt: -at}
	if len(o.Components) > 0 {
		var err error
		if b.components, err = json.Marshal(o.Components); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// size is about how many bytes it takes.
func (b *body) size() int {
	if b.moved {
		return 500
	}
	return 500 + len(b.FHIR) + len(b.components)
}

// MarshalUDT gives the bytes of one field, nil for none. Of a value: the driver looks behind pointers first.
func (b body) MarshalUDT(name string, _ gocql.TypeInfo) ([]byte, error) {
	switch name {
	case "mapper_version":
		return integer(b.MapperVersion), nil
	case "version":
		return bigint(b.Version), nil
	case "moved_to":
		if b.moved {
			return bigint(b.Start), nil
		}
		return nil, nil
	}
	if b.moved {
		return nil, nil
	}
	switch name {
	case "status":
		if b.Status == "entered_in_error" {
			return []byte("entered-in-error"), nil
		}
		return []byte(b.Status), nil
	case "record_id":
		return []byte(b.RecordID), nil
	case "connection_id":
		return b.ConnectionID[:], nil
	case "provider":
		return []byte(b.Provider), nil
	case "stream":
		return []byte(b.Stream), nil
	case "lane":
		return []byte(b.Lane), nil
	case "code":
		return []byte(b.Code), nil
	case "code_system":
		return []byte(b.CodeSystem), nil
	case "category":
		return []byte(b.Category), nil
	case "end_at":
		return optional(b.End, bigint), nil
	case "utc_offset":
		return optional(b.UTCOffset, integer), nil
	case "offset_origin":
		return []byte(b.OffsetOrigin), nil
	case "local_date":
		return optional(b.LocalDate, text), nil
	case "value":
		return optional(b.Value, double), nil
	case "value_text":
		return optional(b.ValueText, text), nil
	case "unit":
		return optional(b.Unit, text), nil
	case "comparator":
		return optional(b.Comparator, text), nil
	case "value_code":
		return optional(b.ValueCode, text), nil
	case "absent_reason":
		return optional(b.AbsentReason, text), nil
	case "components":
		return b.components, nil
	case "device_id":
		return optional(b.DeviceID, func(id uuid.UUID) []byte { return id[:] }), nil
	case "method":
		return []byte(b.Method), nil
	case "source_modified":
		return optional(b.SourceModified, bigint), nil
	case "raw_topic":
		return []byte(b.RawTopic), nil
	case "raw_partition":
		return integer(b.RawPartition), nil
	case "raw_offset":
		return bigint(b.RawOffset), nil
	case "fhir":
		return []byte(b.FHIR), nil
	case "stored_at":
		return bigint(b.storedAt), nil
	}
	return nil, fmt.Errorf("field %s of the body, expected one of those known when this was written", name)
}

func optional[T any](value *T, bytes func(T) []byte) []byte {
	if value == nil {
		return nil
	}
	return bytes(*value)
}

// text is not nil where it is empty: that would be null.
func text(value string) []byte { return []byte(value) }

func integer(value int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(value)) }

func bigint(value int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(value)) }

func double(value float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(value)) }
