package main

import (
	"context"
	"fmt"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
)

// decoder reads observations by the schema each was written with, asked for once. It is used by one goroutine.
type decoder struct {
	registry *sr.Client
	writers  map[int]*avro.Schema
}

func newDecoder(registry string) (*decoder, error) {
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return nil, err
	}
	return &decoder{client, map[int]*avro.Schema{}}, nil
}

// decode reads an observation, whose texts stay in the value.
func (d *decoder) decode(ctx context.Context, value []byte, o *observation) error {
	var header sr.ConfluentHeader
	id, body, err := header.DecodeID(value)
	if err != nil {
		return err
	}
	writer := d.writers[id]
	if writer == nil {
		found, err := d.registry.SchemaByID(ctx, id)
		if err != nil {
			return fmt.Errorf("schema %d: %w", id, err)
		}
		if writer, err = avro.Parse(found.Schema); err != nil {
			return fmt.Errorf("schema %d: %w", id, err)
		}
		d.writers[id] = writer
	}
	_, err = writer.Decode(body, o, avro.SkipUnknown(), avro.AliasInput())
	return err
}
