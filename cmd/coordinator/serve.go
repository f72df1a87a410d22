package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/bolt/coordstore"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/coordinator/link"
	"github.com/countersign-mpc/countersign/mpcapi"
)

const stopTimeout = 15 * time.Second

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
	log := o.logger(c)
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
	if err := s.listen(c); err != nil {
		return err
	}
	log.Info("coordinator started", "version", version, "rest_and_link", s.addresses.Listen, "monitoring", s.addresses.Monitoring, "accounts", len(keys))
	fmt.Fprintf(o.out, "coordinator %s: serving REST and nodes on %s, metrics and health on %s\n", version, s.addresses.Listen, s.addresses.Monitoring)
	return s.run(ctx)
}

// addresses is what address-file holds: where the coordinator really listens.
type addresses struct {
	Listen     string `json:"listen"`
	Monitoring string `json:"monitoring"`
}

// server is a coordinator with its listeners.
type server struct {
	coordinator *coordinator.Coordinator
	links       *link.Server
	public      http.Handler
	monitoring  http.Handler
	log         *slog.Logger
	addresses   addresses
	listeners   []net.Listener // of public and monitoring
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

// listen opens the listeners and writes where they are.
func (s *server) listen(c *config) (err error) {
	defer func() {
		if err != nil {
			s.closeListeners()
		}
	}()
	for key, address := range map[string]string{"listen": c.Listen, "monitoring-listen": c.MonitoringListen} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%s: %w: is another coordinator running there?", key, err)
		}
		s.listeners = append(s.listeners, l)
		if key == "listen" {
			s.addresses.Listen = l.Addr().String()
		} else {
			s.addresses.Monitoring = l.Addr().String()
		}
	}
	if c.AddressFile == "" {
		return nil
	}
	data, err := json.Marshal(s.addresses)
	if err == nil {
		err = replaceFile(c.AddressFile, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("address-file: %w", err)
	}
	return nil
}

func (s *server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// run serves until ctx ends, then lets go of the nodes, answers what has begun, and stops.
func (s *server) run(ctx context.Context) error {
	calls, endCalls := context.WithCancel(context.WithoutCancel(ctx)) // ends calls that are held for a change
	defer endCalls()
	failed := make(chan error, len(s.listeners))
	var parts []*http.Server
	var wg sync.WaitGroup
	for _, l := range s.listeners {
		handler := s.public
		if l.Addr().String() == s.addresses.Monitoring {
			handler = s.monitoring
		}
		part := bounded(calls, handler)
		parts = append(parts, part)
		wg.Go(func() {
			if err := part.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	ticks, endTicks := context.WithCancel(ctx)
	wg.Go(func() { s.tick(ticks) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.Info("coordinator stops")
	endTicks()
	endCalls()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	s.links.Close(stopping)
	for _, part := range parts {
		err = errors.Join(err, part.Shutdown(stopping))
	}
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

func bounded(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: mpcapi.MaxWait + 30*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx },
	}
}

// replaceFile writes a file so that a reader sees the old or the new content, never half.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// logger writes structured lines to standard error.
func (o *options) logger(c *config) *slog.Logger {
	level, err := logLevel(c.Log.Level)
	if err != nil {
		level = slog.LevelInfo // validate has refused it already
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(o.err, opts))
	}
	return slog.New(slog.NewTextHandler(o.err, opts))
}
