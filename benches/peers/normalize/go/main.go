// Command normalize makes observations with their FHIR R4 resource of a provider's raw records. It runs until SIGTERM and ends with 0 then,
// and with an error at the first record it cannot map.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type arguments struct {
	bootstrap, registry, from, to, group, schema string
	transaction                                  time.Duration
}

func main() {
	var a arguments
	var millis int
	flag.StringVar(&a.bootstrap, "bootstrap", "", "`HOST:PORT` of a broker")
	flag.StringVar(&a.registry, "registry", "", "`URL` of the schema registry")
	flag.StringVar(&a.from, "from", "", "raw `TOPIC`")
	flag.StringVar(&a.to, "to", "", "`TOPIC` of the observations")
	flag.StringVar(&a.group, "group", "", "consumer `GROUP`")
	flag.StringVar(&a.schema, "schema", "", "`FILE` with the Avro schema of an observation")
	flag.IntVar(&millis, "exactly-once", 0, "transactions of so many `MILLISECONDS`")
	flag.Parse()
	a.transaction = time.Duration(millis) * time.Millisecond

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, a); err != nil {
		fmt.Fprintln(os.Stderr, "normalize:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, a arguments) error {
	c, err := newCodec(ctx, a)
	if err != nil {
		return err
	}
	if a.transaction > 0 {
		return exactlyOnce(ctx, a, c)
	}
	return atLeastOnce(ctx, a, c)
}
