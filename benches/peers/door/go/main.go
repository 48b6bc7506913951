// Command door takes signed webhooks and puts a hint of each onto a topic before it answers. It runs until SIGTERM and ends with 0 then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type arguments struct {
	bootstrap, registry, to, listen, key, schema string
}

func main() {
	var a arguments
	flag.StringVar(&a.bootstrap, "bootstrap", "", "`HOST:PORT` of a broker")
	flag.StringVar(&a.registry, "registry", "", "`URL` of the schema registry")
	flag.StringVar(&a.to, "to", "", "`TOPIC` of the hints")
	flag.StringVar(&a.listen, "listen", "", "`HOST:PORT` to listen on")
	flag.StringVar(&a.key, "key", "", "signing `KEY` of the webhooks")
	flag.StringVar(&a.schema, "schema", "", "`FILE` with the Avro schema of a hint")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, a); err != nil {
		fmt.Fprintln(os.Stderr, "door:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, a arguments) error {
	log, err := newHintLog(ctx, a)
	if err != nil {
		return err
	}
	defer log.close()
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/polar", newDoor(a.key, log))
	server := &http.Server{
		Addr:              a.listen,
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// What is at hand is answered first.
	if err := server.Shutdown(context.Background()); err != nil {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
