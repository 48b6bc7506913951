package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	commitInterval = 250 * time.Millisecond
	pollRecords    = 500
)

// failed tells a reason to end with an error from the signal to end.
type failed struct{ error }

// taken is what one poll brought: its last record of each partition, and whether all of it is written.
type taken struct {
	last    []*kgo.Record
	written bool
}

// progress marks polls to be committed in the order they came, each when it is written.
type progress struct {
	mu     sync.Mutex
	idle   *sync.Cond
	client *kgo.Client
	open   []*taken
}

func (p *progress) begin(last []*kgo.Record) *taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := &taken{last: last}
	p.open = append(p.open, next)
	return next
}

func (p *progress) written(of *taken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of.written = true
	for len(p.open) > 0 && p.open[0].written {
		p.client.MarkCommitRecords(p.open[0].last...)
		p.open = p.open[1:]
	}
	if len(p.open) == 0 {
		p.idle.Broadcast()
	}
}

// settle waits until all that was polled is written, or cannot be, and commits what is.
func (p *progress) settle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.idle.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	for len(p.open) > 0 && ctx.Err() == nil {
		p.idle.Wait()
	}
	p.mu.Unlock()
	return p.client.CommitMarkedOffsets(context.Background())
}

// consume writes what comes until the signal to end, or the first that cannot be written.
func consume(ctx context.Context, a arguments, d *decoder, s *store) error {
	// Writing goes on after the signal; a failure ends both.
	writing, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	polling, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(writing, stop)
	p := &progress{}
	p.idle = sync.NewCond(&p.mu)
	settle := func(context.Context, *kgo.Client, map[string][]int32) {
		// What was taken of partitions that go to another member is written and committed first.
		if err := p.settle(writing); err != nil {
			fail(failed{err})
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(a.bootstrap),
		kgo.ConsumerGroup(a.group),
		kgo.ConsumeTopics(a.from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(4<<20),
		kgo.FetchMaxPartitionBytes(256<<10),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitInterval),
		kgo.OnPartitionsRevoked(settle),
	)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	p.client = client
	for polling.Err() == nil {
		fetches := client.PollRecords(polling, pollRecords)
		if err := failure(fetches); err != nil {
			return err
		}
		if err := one(writing, fetches, d, s, p, fail); err != nil {
			return err
		}
		client.AllowRebalance()
	}
	settle(writing, client, nil)
	var why failed
	if errors.As(context.Cause(writing), &why) {
		return why.error
	}
	return nil
}

// one begins to write what a poll brought.
func one(ctx context.Context, fetches kgo.Fetches, d *decoder, s *store, p *progress, fail context.CancelCauseFunc) error {
	if fetches.NumRecords() == 0 {
		return nil
	}
	w, now := window{}, time.Now().UnixMicro()
	observations := make([]observation, fetches.NumRecords())
	i := 0
	for iter := fetches.RecordIter(); !iter.Done(); i++ {
		in, o := iter.Next(), &observations[i]
		err := d.decode(ctx, in.Value, o)
		if err == nil {
			err = w.add(o, now)
		}
		if err != nil {
			return fmt.Errorf("%s partition %d offset %d: %w", in.Topic, in.Partition, in.Offset, err)
		}
	}
	t := p.begin(last(fetches))
	return s.write(ctx, w, func(err error) {
		if err != nil {
			fail(failed{fmt.Errorf("rows were not written: %w", err)})
			return
		}
		p.written(t)
	})
}

// failure is why polling failed; that it was to end is none.
func failure(fetches kgo.Fetches) (err error) {
	fetches.EachError(func(topic string, partition int32, why error) {
		if !errors.Is(why, context.Canceled) {
			err = errors.Join(err, fmt.Errorf("%s partition %d: %w", topic, partition, why))
		}
	})
	return err
}

func last(fetches kgo.Fetches) (records []*kgo.Record) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			records = append(records, p.Records[n-1])
		}
	})
	return records
}
