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
	pollRecords    = 1000
)

func (a arguments) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(a.bootstrap),
		kgo.ConsumerGroup(a.group),
		kgo.ConsumeTopics(a.from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.FetchMaxBytes(16 << 20),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(25 * time.Millisecond),
		kgo.MaxBufferedRecords(100_000),
		kgo.MaxBufferedBytes(32 << 20),
	}
}

// window is what one poll brought: its last record of each partition, and how many of the records made of it are not delivered yet.
type window struct {
	last []*kgo.Record
	left int
	full bool
}

// windows are marked to be committed in the order they came, each when all of it is delivered.
type windows struct {
	mu     sync.Mutex
	client *kgo.Client
	open   []*window
}

func (w *windows) begin() *window {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := &window{}
	w.open = append(w.open, next)
	return next
}

func (w *windows) change(of *window, do func(*window)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(of)
	for len(w.open) > 0 && w.open[0].full && w.open[0].left == 0 {
		w.client.MarkCommitRecords(w.open[0].last...)
		w.open = w.open[1:]
	}
}

func atLeastOnce(ctx context.Context, a arguments, c *codec) error {
	// Ends with the reason that a record could not be mapped or delivered.
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	settle := func(_ context.Context, client *kgo.Client, _ map[string][]int32) {
		// What was taken of partitions that go to another member is delivered and committed first.
		if err := errors.Join(client.Flush(context.Background()), client.CommitMarkedOffsets(context.Background())); err != nil {
			fail(failed{err})
		}
	}
	client, err := kgo.NewClient(append(a.options(),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitInterval),
		kgo.OnPartitionsRevoked(settle),
	)...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	taken := &windows{client: client}
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, pollRecords)
		if err := failure(fetches); err != nil {
			return err
		}
		w := taken.begin()
		delivered := func(_ *kgo.Record, err error) {
			if err != nil {
				fail(failed{fmt.Errorf("a record was not delivered: %w", err)})
				return
			}
			taken.change(w, func(w *window) { w.left-- })
		}
		produce := func(out *kgo.Record) {
			taken.change(w, func(w *window) { w.left++ })
			client.Produce(context.Background(), out, delivered)
		}
		if err := each(ctx, fetches, c, produce); err != nil {
			return err
		}
		taken.change(w, func(w *window) { w.last, w.full = last(fetches), true })
		client.AllowRebalance()
	}
	settle(ctx, client, nil)
	return reason(ctx)
}

func exactlyOnce(ctx context.Context, a arguments, c *codec) error {
	session, err := kgo.NewGroupTransactSession(append(a.options(), kgo.TransactionalID(a.group))...)
	if err != nil {
		return err
	}
	defer session.CloseAllowingRebalance()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	delivered := func(_ *kgo.Record, err error) {
		// What an aborted transaction takes with it is read again.
		if err != nil && !errors.Is(err, kgo.ErrAborting) {
			fail(failed{fmt.Errorf("a record was not delivered: %w", err)})
		}
	}
	produce := func(out *kgo.Record) { session.Produce(context.Background(), out, delivered) }
	for ctx.Err() == nil {
		if err := session.Begin(); err != nil {
			return err
		}
		length, cancel := context.WithTimeout(ctx, a.transaction)
		for length.Err() == nil {
			fetches := session.PollRecords(length, pollRecords)
			if err = failure(fetches); err == nil {
				err = each(ctx, fetches, c, produce)
			}
			if err != nil {
				fail(failed{err})
				break
			}
			session.AllowRebalance()
		}
		cancel()
		good := reason(ctx) == nil
		if _, err := session.End(context.Background(), kgo.TransactionEndTry(good)); err != nil {
			return errors.Join(reason(ctx), err)
		}
	}
	return reason(ctx)
}

func each(ctx context.Context, fetches kgo.Fetches, c *codec, produce func(*kgo.Record)) error {
	for iter := fetches.RecordIter(); !iter.Done(); {
		in := iter.Next()
		if err := c.records(ctx, in, produce); err != nil {
			return fmt.Errorf("%s partition %d offset %d: %w", in.Topic, in.Partition, in.Offset, err)
		}
	}
	return nil
}

// failure is why polling failed; that its time was over is none.
func failure(fetches kgo.Fetches) (err error) {
	fetches.EachError(func(topic string, partition int32, why error) {
		if !errors.Is(why, context.Canceled) && !errors.Is(why, context.DeadlineExceeded) {
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

// failed tells a reason to end with an error from the signal to end.
type failed struct{ error }

func reason(ctx context.Context) error {
	var why failed
	if errors.As(context.Cause(ctx), &why) {
		return why.error
	}
	return nil
}
