package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/encoding/json"
)

const (
	bodyLimit = 64 << 10
	// deadline is a little before the provider gives up.
	deadline = 4500 * time.Millisecond
)

// streams are those that a notification's event is about.
var streams = map[string][]string{
	"EXERCISE":              {"exercises", "cardio-load"},
	"SLEEP":                 {"sleep", "nightly-recharge"},
	"CONTINUOUS_HEART_RATE": {"continuous-heart-rate"},
	"ACTIVITY_SUMMARY":      {"activities"},
	"PHYSICAL_INFORMATION":  {"physical-info"},
}

type notification struct {
	Event  string  `json:"event"`
	UserID *int64  `json:"user_id"`
	Date   *string `json:"date"`
}

// door judges a call and answers it.
type door struct {
	log *hintLog
	// desks are what one call needs while it is judged, to be used again.
	desks sync.Pool
}

type desk struct {
	body bytes.Buffer
	mac  hash.Hash
	sum  [sha256.Size]byte
}

func newDoor(key string, log *hintLog) *door {
	return &door{log: log, desks: sync.Pool{New: func() any {
		return &desk{mac: hmac.New(sha256.New, []byte(key))}
	}}}
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	said, status := d.judge(w, r)
	if status != http.StatusOK {
		w.WriteHeader(status)
		return
	}
	about := streams[said.Event]
	// What names nothing that is known is taken and left.
	if about == nil || said.UserID == nil {
		return
	}
	if err := d.log.append(strconv.FormatInt(*said.UserID, 10), about, deadline); err != nil {
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// judge reads the body and holds it to its signature; only then is it parsed.
func (d *door) judge(w http.ResponseWriter, r *http.Request) (said notification, status int) {
	if r.ContentLength > bodyLimit {
		return said, http.StatusRequestEntityTooLarge
	}
	desk := d.desks.Get().(*desk)
	defer d.desks.Put(desk)
	desk.body.Reset()
	if _, err := desk.body.ReadFrom(http.MaxBytesReader(w, r.Body, bodyLimit)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return said, http.StatusRequestEntityTooLarge
		}
		return said, http.StatusBadRequest
	}
	if !desk.signed(r.Header.Get("Polar-Webhook-Signature")) {
		return said, http.StatusUnauthorized
	}
	// A date would make a window of the hint, which is not done here.
	if err := json.Unmarshal(desk.body.Bytes(), &said); err != nil || said.Date != nil {
		return said, http.StatusBadRequest
	}
	return said, http.StatusOK
}

func (d *desk) signed(signature string) bool {
	var given [sha256.Size]byte
	if len(signature) != hex.EncodedLen(len(given)) {
		return false
	}
	if _, err := hex.Decode(given[:], []byte(signature)); err != nil {
		return false
	}
	d.mac.Reset()
	d.mac.Write(d.body.Bytes())
	return hmac.Equal(d.mac.Sum(d.sum[:0]), given[:])
}
