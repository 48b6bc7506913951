package main

import "github.com/google/uuid"

// raw is what is needed of a raw record; the decoder skips the rest.
type raw struct {
	Provider     string      `avro:"provider"`
	ConnectionID string      `avro:"connection_id"`
	SubjectID    string      `avro:"subject_id"`
	Stream       string      `avro:"stream"`
	Lane         string      `avro:"lane"`
	Origin       string      `avro:"origin"`
	FetchedAt    int64       `avro:"fetched_at"`
	TimeZone     *string     `avro:"time_zone"`
	Amended      []amended   `avro:"amended"`
	VersionFloor *int64      `avro:"version_floor"`
	Encryption   *encryption `avro:"encryption"`
	Body         []byte      `avro:"body"`
}

type amended struct {
	ID            uuid.UUID `avro:"id"`
	PreviousStart int64     `avro:"previous_start"`
}

type encryption struct {
	KeyID     string `avro:"key_id"`
	Algorithm string `avro:"algorithm"`
}

type observation struct {
	ID             uuid.UUID   `avro:"id"`
	RecordID       string      `avro:"record_id"`
	SubjectID      string      `avro:"subject_id"`
	ConnectionID   string      `avro:"connection_id"`
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
	Samples        *samples    `avro:"samples"`
	DeviceID       *uuid.UUID  `avro:"device_id"`
	Method         string      `avro:"method"`
	SourceModified *int64      `avro:"source_modified"`
	Version        int64       `avro:"version"`
	PreviousStart  *int64      `avro:"previous_start"`
	RawTopic       string      `avro:"raw_topic"`
	RawPartition   int32       `avro:"raw_partition"`
	RawOffset      int64       `avro:"raw_offset"`
	MapperVersion  int32       `avro:"mapper_version"`
	FHIR           []byte      `avro:"fhir"`
}

type component struct {
	DataType     string   `avro:"data_type"`
	Code         string   `avro:"code"`
	Value        *float64 `avro:"value"`
	ValueText    *string  `avro:"value_text"`
	Unit         *string  `avro:"unit"`
	ValueCode    *string  `avro:"value_code"`
	AbsentReason *string  `avro:"absent_reason"`
}

type samples struct {
	PeriodMs string `avro:"period_ms"`
	Unit     string `avro:"unit"`
	Data     string `avro:"data"`
}
