package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

const provider = "polar"

// namespace of all ids: the v5 of urn:headwater:ids under the URL namespace.
var namespace = uuid.MustParse("92f01e02-78f0-5c73-a6f5-9bd90905fac4")

var errLate = errors.New("no acknowledgement in time")

type hint struct {
	HintID       uuid.UUID `avro:"hint_id"`
	Provider     string    `avro:"provider"`
	ConnectionID uuid.UUID `avro:"connection_id"`
	Cause        string    `avro:"cause"`
	Lane         string    `avro:"lane"`
	Change       string    `avro:"change"`
	Streams      []string  `avro:"streams"`
	WindowStart  *int64    `avro:"window_start"`
	WindowEnd    *int64    `avro:"window_end"`
	CreatedAt    int64     `avro:"created_at"`
	NotBefore    *int64    `avro:"not_before"`
	Attempt      int32     `avro:"attempt"`
	Object       *string   `avro:"object"`
}

// hintLog appends hints to a topic.
type hintLog struct {
	client   *kgo.Client
	schema   *avro.Schema
	schemaID int
}

func newHintLog(ctx context.Context, a arguments) (*hintLog, error) {
	registry, err := sr.NewClient(sr.URLs(a.registry))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(a.schema)
	if err != nil {
		return nil, err
	}
	schema, err := avro.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.schema, err)
	}
	registered, err := registry.CreateSchema(ctx, a.to+"-value", sr.Schema{Schema: string(text)})
	if err != nil {
		return nil, fmt.Errorf("registering the hint's schema: %w", err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(a.bootstrap),
		kgo.DefaultProduceTopic(a.to),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.RecordDeliveryTimeout(20*time.Second),
		kgo.MaxBufferedRecords(100_000),
		kgo.MaxBufferedBytes(12<<20),
	)
	if err != nil {
		return nil, err
	}
	// Random bytes for ids are read many at a time.
	uuid.EnableRandPool()
	return &hintLog{client, schema, registered.ID}, nil
}

// append comes back when the broker has the hint, or cannot be waited for.
func (l *hintLog) append(user string, streams []string, patience time.Duration) error {
	connection := connectionID(user)
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	var header sr.ConfluentHeader
	value, err := header.AppendEncode(make([]byte, 0, 192), l.schemaID, nil)
	if err != nil {
		return err
	}
	value, err = l.schema.AppendEncode(value, &hint{
		HintID:       id,
		Provider:     provider,
		ConnectionID: connection,
		Cause:        "webhook",
		Lane:         "live",
		Change:       "data",
		Streams:      streams,
		CreatedAt:    time.Now().UnixMicro(),
	})
	if err != nil {
		return err
	}
	// ProduceSync would end the lingering of each call. One that is given up may still be delivered.
	delivered := make(chan error, 1)
	record := &kgo.Record{Key: []byte(connection.String()), Value: value}
	l.client.TryProduce(context.Background(), record, func(_ *kgo.Record, err error) { delivered <- err })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-delivered:
		return err
	case <-timer.C:
		return errLate
	}
}

func (l *hintLog) close() {
	l.client.Flush(context.Background())
	l.client.Close()
}

func connectionID(user string) uuid.UUID {
	name := make([]byte, 0, 64)
	for _, part := range [...]string{"connection", provider, user} {
		name = append(append(name, part...), 0)
	}
	return uuid.NewSHA1(namespace, name)
}
