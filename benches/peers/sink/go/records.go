package main

import "github.com/google/uuid"

// observation is what is stored of one; the decoder skips the rest.
type observation struct {
	ID             uuid.UUID   `avro:"id"`
	RecordID       string      `avro:"record_id"`
	SubjectID      string      `avro:"subject_id"`
	ConnectionID   uuid.UUID   `avro:"connection_id"`
	Provider       string      `avro:"provider"`
	Stream         string      `avro:"stream"`
	Lane           string      `avro:"lane"`
	DataType       string      `avro:"data_type"`
	Code           string      `avro:"code"`
	CodeSystem     string      `avro:"code_system"`
	Category       string      `avro:"category"`
	Status         string      `avro:"status"`
	Start          int64       `avro:"start"`
	End            *int64      `avro:"end"`
	UTCOffset      *int32      `avro:"utc_offset"`
	OffsetOrigin   string      `avro:"offset_origin"`
	LocalDate      *string     `avro:"local_date"`
	Value          *float64    `avro:"value"`
	ValueText      *string     `avro:"value_text"`
	Unit           *string     `avro:"unit"`
	Comparator     *string     `avro:"comparator"`
	ValueCode      *string     `avro:"value_code"`
	AbsentReason   *string     `avro:"absent_reason"`
	Components     []component `avro:"components"`
	DeviceID       *uuid.UUID  `avro:"device_id"`
	Method         string      `avro:"method"`
	SourceModified *int64      `avro:"source_modified"`
	Version        int64       `avro:"version"`
	PreviousStart  *int64      `avro:"previous_start"`
	RawTopic       string      `avro:"raw_topic"`
	RawPartition   int32       `avro:"raw_partition"`
	RawOffset      int64       `avro:"raw_offset"`
	MapperVersion  int32       `avro:"mapper_version"`
	FHIR           string      `avro:"fhir"`
}

// component's names are in the order of the alphabet, as the column has them.
type component struct {
	AbsentReason *string  `avro:"absent_reason" json:"absent_reason,omitempty"`
	Code         string   `avro:"code" json:"code"`
	DataType     string   `avro:"data_type" json:"data_type"`
	Unit         *string  `avro:"unit" json:"unit,omitempty"`
	Value        *float64 `avro:"value" json:"value,omitempty"`
	ValueCode    *string  `avro:"value_code" json:"value_code,omitempty"`
	ValueText    *string  `avro:"value_text" json:"value_text,omitempty"`
}
