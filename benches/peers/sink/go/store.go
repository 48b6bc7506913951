package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/cassandra-gocql-driver/v2"
	"golang.org/x/sync/errgroup"
)

const (
	// A batch of one partition becomes one mutation; larger ones gain nothing.
	batchRows  = 50
	batchBytes = 100 << 10
	// Requests in flight, of all that was polled.
	inFlight = 384
	// Months that are remembered as written; then all are forgotten.
	monthsKept = 100_000
)

type partition struct {
	subject string
	month   int32
}

type place struct {
	partition
	dataType string
}

type row struct {
	dataType string
	start    int64
	body     *body
}

type store struct {
	session          *gocql.Session
	putRow, putMonth string
	slots            chan struct{}
	months           map[place]struct{}
}

func openStore(a arguments) (*store, error) {
	cluster := gocql.NewCluster(a.node)
	cluster.Consistency = gocql.LocalQuorum
	cluster.Timeout = 10 * time.Second
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.RoundRobinHostPolicy())
	cluster.RetryPolicy = &gocql.ExponentialBackoffRetryPolicy{NumRetries: 8, Min: 100 * time.Millisecond, Max: 10 * time.Second}
	session, err := cluster.CreateSession()
	if err != nil {
		return nil, err
	}
	return &store{
		session: session,
		putRow: fmt.Sprintf("INSERT INTO %s.observations (subject_id, month, data_type, start_at, id, body) "+
			"VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?", a.keyspace),
		putMonth: fmt.Sprintf("INSERT INTO %s.observation_months (subject_id, month, data_type) VALUES (?, ?, ?)", a.keyspace),
		slots:    make(chan struct{}, inFlight),
		months:   map[place]struct{}{},
	}, nil
}

func (s *store) close() { s.session.Close() }

// window is the rows of one poll, by partition.
type window map[partition][]row

// add puts an observation where it is, and a mark where it was.
func (w window) add(o *observation, at int64) error {
	b, err := newBody(o, at)
	if err != nil {
		return err
	}
	w.put(o, o.Start, b)
	if o.PreviousStart != nil && *o.PreviousStart != o.Start {
		w.put(o, *o.PreviousStart, &body{observation: o, moved: true})
	}
	return nil
}

func (w window) put(o *observation, start int64, b *body) {
	when := time.UnixMicro(start).UTC()
	at := partition{o.SubjectID, int32(when.Year()*100 + int(when.Month()))}
	w[at] = append(w[at], row{o.DataType, start, b})
}

// write begins to write a window, as far as there is room, and says when all of it is written or why it is not.
func (s *store) write(ctx context.Context, w window, done func(error)) error {
	if err := s.writeMonths(ctx, w); err != nil {
		return err
	}
	var batches sync.WaitGroup
	var once sync.Once
	var failure error
	for at, rows := range w {
		for len(rows) > 0 {
			count := fit(rows)
			batch := s.batch(at, rows[:count])
			rows = rows[count:]
			s.slots <- struct{}{}
			batches.Go(func() {
				defer func() { <-s.slots }()
				if err := batch.ExecContext(ctx); err != nil {
					once.Do(func() { failure = err })
				}
			})
		}
	}
	go func() {
		batches.Wait()
		done(failure)
	}()
	return nil
}

// writeMonths writes the months nobody may have heard of first: a row in one of them would be a row nobody reads.
func (s *store) writeMonths(ctx context.Context, w window) error {
	missing := map[place]struct{}{}
	for at, rows := range w {
		for i := range rows {
			p := place{at, rows[i].dataType}
			if _, known := s.months[p]; !known {
				missing[p] = struct{}{}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	writes, ctx := errgroup.WithContext(ctx)
	writes.SetLimit(inFlight)
	for p := range missing {
		writes.Go(func() error {
			return s.session.Query(s.putMonth, p.subject, p.month, p.dataType).Idempotent(true).ExecContext(ctx)
		})
	}
	if err := writes.Wait(); err != nil {
		return err
	}
	if len(s.months)+len(missing) > monthsKept {
		clear(s.months)
	}
	for p := range missing {
		s.months[p] = struct{}{}
	}
	return nil
}

func (s *store) batch(at partition, rows []row) *gocql.Batch {
	batch := s.session.Batch(gocql.UnloggedBatch)
	batch.Entries = make([]gocql.BatchEntry, len(rows))
	for i, r := range rows {
		batch.Entries[i] = gocql.BatchEntry{
			Stmt:       s.putRow,
			Args:       []any{at.subject, at.month, r.dataType, r.start, gocql.UUID(r.body.ID), r.body, r.body.Version},
			Idempotent: true,
		}
	}
	return batch
}

// fit is how many of the rows one batch takes.
func fit(rows []row) int {
	bytes := rows[0].body.size()
	for i := 1; i < len(rows); i++ {
		bytes += rows[i].body.size()
		if i == batchRows || bytes > batchBytes {
			return i
		}
	}
	return len(rows)
}
