package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/bolt/coordstore"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/coordinator/link"
	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/logging"
	"github.com/countersign-mpc/countersign/mpcapi"
)

func (o *options) serve() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the coordinator in the foreground",
		Long: `Run the coordinator until it gets SIGINT or SIGTERM. Requests and sessions are kept: after the next start they go on, and
nodes connect again by themselves.`,
		Example: "  coordinator serve --config /etc/countersign/coordinator.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			return o.runServer(cmd.Context(), c)
		},
	}
}

// runServer is the whole life of a coordinator.
func (o *options) runServer(ctx context.Context, c *config) (err error) {
	log := logging.New(c.Log.Level, c.Log.Format, o.err)
	keys, missing, err := c.keys()
	if err != nil {
		return err
	}
	for _, path := range missing {
		log.Warn("an API key file is not there: its account is refused; make it by `coordinator new-api-key` and start again", "key_path", path)
	}
	store, err := coordstore.Open(coordstore.Config{Path: c.DBPath})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := newServer(c, store, keys, log)
	if err != nil {
		return err
	}
	l, err := listeners.Open(c.AddressFile,
		listeners.Side{Name: "listen", Key: "listen", Address: c.Listen, Handler: s.public, WriteTimeout: mpcapi.MaxWait + 30*time.Second},
		listeners.Side{Name: "monitoring", Key: "monitoring-listen", Address: c.MonitoringListen, Handler: s.monitoring})
	if err != nil {
		return err
	}
	listen, monitoring := l.Address("listen"), l.Address("monitoring")
	log.Info("coordinator started", "version", version, "rest_and_link", listen, "monitoring", monitoring, "accounts", len(keys))
	fmt.Fprintf(o.out, "coordinator %s: serving REST and nodes on %s, metrics and health on %s\n", version, listen, monitoring)
	return s.run(ctx, l)
}

// server is a coordinator with what it serves.
type server struct {
	coordinator *coordinator.Coordinator
	links       *link.Server
	public      http.Handler
	monitoring  http.Handler
	log         *slog.Logger
}

func newServer(c *config, store coordinator.Store, keys []mpcapi.APIKey, log *slog.Logger) (*server, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s := &server{log: log}
	var err error
	if s.coordinator, err = coordinator.New(coordinator.Config{Store: store, Log: log, Metrics: registry, Limits: c.limits()}); err != nil {
		return nil, err
	}
	s.links, err = link.New(link.Config{Coordinator: s.coordinator, Log: log, Name: c.Name, PublicNames: c.PublicNames, Metrics: registry})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	rest, err := mpcapi.New(mpcapi.Config{Coordinator: s.coordinator, Keys: keys, Log: log, Version: version, Metrics: registry})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	public := http.NewServeMux()
	public.Handle("GET /proxy", s.links)
	public.Handle("/", rest)
	s.public, s.monitoring = public, s.monitor(registry)
	return s, nil
}

// monitor serves metrics and health.
func (s *server) monitor(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.coordinator.Ready(r.Context()); err != nil {
			s.log.ErrorContext(r.Context(), "not ready", "error", err)
			http.Error(w, "the store cannot be read: see the log", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// run serves until ctx ends, then lets go of the nodes, answers what has begun, and stops.
func (s *server) run(ctx context.Context, l *listeners.Set) error {
	ticks, endTicks := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.tick(ticks) })
	err := l.Run(ctx, func(stopping context.Context) {
		s.log.Info("coordinator stops")
		endTicks()
		s.links.Close(stopping)
	})
	endTicks()
	wg.Wait()
	return err
}

// tick does what time asks for.
func (s *server) tick(ctx context.Context) {
	ticker := time.NewTicker(coordinator.TickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.coordinator.Tick(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("requests and sessions that are due could not be dealt with", "error", err)
		}
	}
}
