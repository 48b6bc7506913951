package main

import (
	"context"
	"fmt"
	"os"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// codec makes the records to produce of a consumed one. It is used by one goroutine.
type codec struct {
	registry *sr.Client
	writers  map[int]*avro.Schema
	schema   *avro.Schema
	schemaID int
	to       string
	mapper   mapper
}

func newCodec(ctx context.Context, a arguments) (*codec, error) {
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
		return nil, fmt.Errorf("registering the observation's schema: %w", err)
	}
	return &codec{
		registry: registry,
		writers:  map[int]*avro.Schema{},
		schema:   schema,
		schemaID: registered.ID,
		to:       a.to,
		mapper:   newMapper(),
	}, nil
}

// records gives each record that a consumed one becomes to produce.
func (c *codec) records(ctx context.Context, in *kgo.Record, produce func(*kgo.Record)) error {
	var header sr.ConfluentHeader
	id, body, err := header.DecodeID(in.Value)
	if err != nil {
		return err
	}
	writer, err := c.writer(ctx, id)
	if err != nil {
		return err
	}
	var r raw
	if _, err := writer.Decode(body, &r, avro.SkipUnknown(), avro.AliasInput()); err != nil {
		return err
	}
	return c.mapper.observations(&r, place{in.Topic, in.Partition, in.Offset}, func(o *observation) error {
		value, err := header.AppendEncode(make([]byte, 0, len(o.FHIR)+512), c.schemaID, nil)
		if err != nil {
			return err
		}
		if value, err = c.schema.AppendEncode(value, o); err != nil {
			return err
		}
		produce(&kgo.Record{Topic: c.to, Key: []byte(r.SubjectID), Value: value})
		return nil
	})
}

// writer is the schema a value was written with, asked for once.
func (c *codec) writer(ctx context.Context, id int) (*avro.Schema, error) {
	if known := c.writers[id]; known != nil {
		return known, nil
	}
	found, err := c.registry.SchemaByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	schema, err := avro.Parse(found.Schema)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	c.writers[id] = schema
	return schema, nil
}
