package main

import (
	stdjson "encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/encoding/json"
)

const (
	loinc    = "http://loinc.org"
	ucum     = "http://unitsofmeasure.org"
	category = "http://terminology.hl7.org/CodeSystem/observation-category"
	tag      = "urn:headwater:codesystem:tag"
)

// resource is a FHIR R4 Observation, as far as a scale brings one about.
type resource struct {
	ResourceType string            `json:"resourceType"`
	ID           uuid.UUID         `json:"id"`
	Meta         meta              `json:"meta"`
	Identifier   []identifier      `json:"identifier"`
	Status       string            `json:"status"`
	Category     []codeableConcept `json:"category"`
	Code         codeableConcept   `json:"code"`
	Subject      reference         `json:"subject"`
	Effective    string            `json:"effectiveDateTime"`
	Issued       string            `json:"issued"`
	Value        quantity          `json:"valueQuantity"`
	Method       *codeableConcept  `json:"method,omitempty"`
	Device       *reference        `json:"device,omitempty"`
}

type meta struct {
	Source  string   `json:"source"`
	Profile []string `json:"profile,omitempty"`
	Tag     []coding `json:"tag"`
}

type identifier struct {
	System string    `json:"system"`
	Value  uuid.UUID `json:"value"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type codeableConcept struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

type reference struct {
	Reference string `json:"reference"`
}

// quantity writes its value as a number with the digits it has.
type quantity struct {
	Value  stdjson.Number `json:"value"`
	Unit   string         `json:"unit"`
	System string         `json:"system"`
	Code   string         `json:"code"`
}

func (r *resource) render(dst []byte) ([]byte, error) {
	return json.Append(dst, r, 0)
}

// zoneTag says when an offset is missing or only inferred.
func zoneTag(origin string) string {
	switch origin {
	case "none":
		return "time-zone-unknown"
	case "profile":
		return "time-zone-from-profile"
	default:
		return ""
	}
}

// instant is in UTC; it has a fraction only where there is any.
func instant(micros int64) string {
	return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
}
