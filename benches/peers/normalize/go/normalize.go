package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	mapperVersion = 2
	micros        = 1_000_000
)

// place is where a raw record stands.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// mapper makes observations of raw records. It is used by one goroutine.
type mapper struct {
	zones map[string]*time.Location
	fhir  []byte
}

func newMapper() mapper {
	return mapper{zones: map[string]*time.Location{}}
}

// observations gives each observation of a raw record to put, in turn; what it holds is reused afterwards.
func (m *mapper) observations(r *raw, at place, put func(*observation) error) error {
	switch {
	case r.Provider != "withings" || r.Stream != "getmeas" || r.Origin == "reconcile" || len(r.Amended) > 0:
		return errors.New("expected a first answer of Withings' getmeas")
	case r.Encryption != nil:
		return errors.New("expected a body that is not sealed")
	}
	a, err := parseAnswer(r.Body)
	if err != nil {
		return err
	}
	for i := range a.Body.Groups {
		g := &a.Body.Groups[i]
		// A goal (category 2) is a wish, not a measurement.
		if g.Category != nil && *g.Category != 1 {
			continue
		}
		if err := m.group(r, a.Body.Timezone, g, at, put); err != nil {
			return err
		}
	}
	return nil
}

func (m *mapper) group(r *raw, timezone string, g *group, at place, put func(*observation) error) error {
	effective, offset, origin, err := m.moment(g.Date, timezone, r.TimeZone)
	if err != nil {
		return err
	}
	status, method := g.attribution()
	tags := []coding{{tag, r.Provider}}
	if z := zoneTag(origin); z != "" {
		tags = append(tags, coding{tag, z})
	}
	o := observation{
		SubjectID:     r.SubjectID,
		ConnectionID:  r.ConnectionID,
		Provider:      r.Provider,
		Stream:        r.Stream,
		Lane:          r.Lane,
		CodeSystem:    loinc,
		Category:      "vital-signs",
		Status:        status,
		Start:         g.Date * micros,
		UTCOffset:     offset,
		OffsetOrigin:  origin,
		Method:        method,
		Version:       r.FetchedAt,
		RawTopic:      at.topic,
		RawPartition:  at.partition,
		RawOffset:     at.offset,
		MapperVersion: mapperVersion,
	}
	if g.Modified != nil {
		modified := *g.Modified * micros
		o.SourceModified, o.Version = &modified, modified
	}
	if r.VersionFloor != nil {
		o.Version = max(o.Version, *r.VersionFloor)
	}
	f := resource{
		ResourceType: "Observation",
		Meta:         meta{Source: fmt.Sprintf("urn:headwater:%s:%d:%d", at.topic, at.partition, at.offset), Tag: tags},
		Status:       status,
		Category:     []codeableConcept{{Coding: []coding{{category, "vital-signs"}}}},
		Subject:      reference{"Patient/" + r.SubjectID},
		Effective:    effective,
		Issued:       instant(o.Version),
	}
	if method == "manual" {
		f.Method = &codeableConcept{Text: "entered by hand"}
	}
	if known := g.device(); known != "" {
		device := deviceID(r.ConnectionID, r.SubjectID, known)
		o.DeviceID, f.Device = &device, &reference{"Device/" + device.String()}
	}
	for _, entry := range g.Measures {
		measure := measures[entry.Type]
		if measure == nil {
			continue
		}
		if err := m.reading(o, f, fmt.Sprintf("%d:%d", g.ID, entry.Type), measure, entry, put); err != nil {
			return err
		}
	}
	return nil
}

// reading completes what all of a group share with what is one measure's own.
func (m *mapper) reading(
	o observation, f resource, recordID string, of *measure, e entry, put func(*observation) error,
) error {
	number, err := e.number()
	if err != nil {
		return err
	}
	value, _ := number.Float64()
	digits := number.String()
	id := observationID(o.ConnectionID, o.SubjectID, of.slug, recordID)
	f.ID, f.Identifier = id, []identifier{{"urn:headwater:record:" + o.Provider, id}}
	f.Code = codeableConcept{Coding: []coding{{loinc, of.code}}, Text: of.text}
	f.Value = quantity{json.Number(digits), of.unit, ucum, of.unit}
	if of.profile != "" {
		f.Meta.Profile = []string{of.profile}
	}
	if m.fhir, err = f.render(m.fhir[:0]); err != nil {
		return err
	}
	o.ID, o.RecordID, o.DataType, o.Code = id, recordID, of.slug, of.code
	o.Value, o.ValueText, o.Unit, o.FHIR = &value, &digits, &of.unit, m.fhir
	return put(&o)
}

// moment says when, with the offset of the zone that the answer names, else of the person's profile; that offset; and whose it is.
func (m *mapper) moment(seconds int64, own string, profile *string) (text string, offset *int32, origin string, err error) {
	name, origin := own, "zone"
	if own == "" {
		if profile == nil {
			return instant(seconds * micros), nil, "none", nil
		}
		name, origin = *profile, "profile"
	}
	zone := m.zones[name]
	if zone == nil {
		if zone, err = time.LoadLocation(name); err != nil {
			return "", nil, "", err
		}
		m.zones[name] = zone
	}
	local := time.Unix(seconds, 0).In(zone)
	_, east := local.Zone()
	east32 := int32(east)
	return local.Format("2006-01-02T15:04:05-07:00"), &east32, origin, nil
}
