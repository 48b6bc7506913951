package main

import (
	"fmt"

	"github.com/govalues/decimal"
	"github.com/segmentio/encoding/json"
)

// answer is Withings' getmeas: groups of measurements taken together.
type answer struct {
	Status int `json:"status"`
	Body   *struct {
		Groups   []group `json:"measuregrps"`
		Timezone string  `json:"timezone"`
	} `json:"body"`
}

type group struct {
	ID           int64   `json:"grpid"`
	Attribution  int     `json:"attrib"`
	Date         int64   `json:"date"`
	Modified     *int64  `json:"modified"`
	Category     *int    `json:"category"`
	DeviceID     string  `json:"deviceid"`
	HashDeviceID string  `json:"hash_deviceid"`
	Measures     []entry `json:"measures"`
}

type entry struct {
	Value int64 `json:"value"`
	Type  int   `json:"type"`
	Unit  int   `json:"unit"`
}

func parseAnswer(payload []byte) (*answer, error) {
	var a answer
	if err := json.Unmarshal(payload, &a); err != nil {
		return nil, err
	}
	if a.Status != 0 || a.Body == nil {
		return nil, fmt.Errorf("expected data, found status %d of the provider", a.Status)
	}
	return &a, nil
}

// number is value × 10^unit, with exactly the digits that this says: never through a float.
func (e entry) number() (decimal.Decimal, error) {
	if e.Unit <= 0 {
		return decimal.New(e.Value, -e.Unit)
	}
	number, err := decimal.New(e.Value, 0)
	for range e.Unit {
		if err == nil {
			number, err = number.Mul(decimal.Ten)
		}
	}
	return number, err
}

// device is what the group's device is known by, empty where it names none.
func (g *group) device() string {
	if g.DeviceID != "" {
		return g.DeviceID
	}
	return g.HashDeviceID
}

// attribution is how a group came about. 1 may be somebody else who stood on the scale.
func (g *group) attribution() (status, method string) {
	switch g.Attribution {
	case 0, 5, 7, 8, 15:
		return "final", "device"
	case 1:
		return "preliminary", "device"
	case 2, 4:
		return "final", "manual"
	default:
		return "final", "unknown"
	}
}

type measure struct {
	slug, code, text, unit, profile string
}

var measures = map[int]*measure{
	1:  {"body-weight", "29463-7", "Body weight", "kg", "http://hl7.org/fhir/StructureDefinition/bodyweight"},
	6:  {"body-fat", "41982-0", "Body fat percentage", "%", ""},
	76: {"muscle-mass", "73964-9", "Body muscle mass", "kg", ""},
}
