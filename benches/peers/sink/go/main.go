// Command sink writes observations into Cassandra. It runs until SIGTERM and ends with 0 then, and with an error at the first record it cannot
// read or write.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type arguments struct {
	bootstrap, registry, from, group, node, keyspace string
}

func main() {
	var a arguments
	flag.StringVar(&a.bootstrap, "bootstrap", "", "`HOST:PORT` of a broker")
	flag.StringVar(&a.registry, "registry", "", "`URL` of the schema registry")
	flag.StringVar(&a.from, "from", "", "`TOPIC` of the observations")
	flag.StringVar(&a.group, "group", "", "consumer `GROUP`")
	flag.StringVar(&a.node, "node", "", "`HOST:PORT` of a Cassandra node")
	flag.StringVar(&a.keyspace, "keyspace", "", "`KEYSPACE` of the tables")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, a); err != nil {
		fmt.Fprintln(os.Stderr, "sink:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, a arguments) error {
	d, err := newDecoder(a.registry)
	if err != nil {
		return err
	}
	s, err := openStore(a)
	if err != nil {
		return err
	}
	defer s.close()
	return consume(ctx, a, d, s)
}
