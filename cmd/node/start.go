package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
)

const stopTimeout = 10 * time.Second

func (o *options) start() *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Run the node in the foreground; it is sealed until unseal",
		Example: "  mpc-node start --config config.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			return o.serve(cmd.Context(), c)
		},
	}
}

// addresses is what address-file holds: where the node really listens.
type addresses struct {
	Admin      string `json:"admin"`
	Monitoring string `json:"monitoring"`
}

// serve runs a node until ctx ends or it is told to stop.
func (o *options) serve(ctx context.Context, c config) (err error) {
	log, closeLog, err := o.logger(c)
	if err != nil {
		return err
	}
	defer closeLog()
	store, err := keystore.Open(keystore.Config{Path: c.Storage.Path})
	if err != nil {
		return err
	}
	settings := c.settings()
	settings.Log = log
	n, err := node.New(node.Config{Store: store, Settings: settings, Protocols: node.CMP{}, LinkURL: c.linkURL(),
		Software: "mpc-node " + version, Log: log})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	servers, err := listen(c, n, cancel)
	if err != nil {
		return err
	}
	for _, warning := range settings.Warnings() {
		log.Warn(warning)
	}
	log.Info("node started", "version", version, "state", n.State(), "admin", servers.addresses.Admin, "monitoring", servers.addresses.Monitoring,
		"next", nextStep(n.State()))
	fmt.Fprintf(o.out, "%s instance name: %s, unseal server address: %s\n", "mpc-node", c.App.Name, servers.addresses.Admin)
	return servers.run(ctx)
}

func nextStep(state string) string {
	if state == keystore.Uninitialised.String() {
		return "mpc-node init"
	}
	return "mpc-node unseal"
}

// servers are the node's two HTTP listeners.
type servers struct {
	addresses addresses
	parts     []server
}

type server struct {
	listener net.Listener
	http     *http.Server
}

func listen(c config, n *node.Node, stop func()) (*servers, error) {
	admin, err := net.Listen("tcp", c.Storage.UnsealServerAddress)
	if err != nil {
		return nil, fmt.Errorf("storage.unseal-server-address: %w: is another node running there?", err)
	}
	monitoring, err := net.Listen("tcp", c.Monitoring.Address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("monitoring.address: %w: is another node running there?", err), admin.Close())
	}
	s := &servers{addresses: addresses{Admin: admin.Addr().String(), Monitoring: monitoring.Addr().String()}}
	s.parts = []server{
		{admin, bounded(n.Admin(node.AdminConfig{Hosts: c.Storage.UnsealServerNames, Stop: stop}))},
		{monitoring, bounded(n.Health())},
	}
	if c.AddressFile == "" {
		return s, nil
	}
	data, err := json.Marshal(s.addresses)
	if err == nil {
		err = replaceFile(c.AddressFile, data)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address-file: %w", err), admin.Close(), monitoring.Close())
	}
	return s, nil
}

func bounded(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 90 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
}

// run serves until ctx ends, then stops gracefully.
func (s *servers) run(ctx context.Context) error {
	failed := make(chan error, len(s.parts))
	var wg sync.WaitGroup
	for _, part := range s.parts {
		wg.Go(func() {
			if err := part.http.Serve(part.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, part := range s.parts {
		err = errors.Join(err, part.http.Shutdown(stopping))
	}
	wg.Wait()
	return err
}

// replaceFile writes a file so that a reader sees the old or the new content, never half.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// logger makes the log that the configuration asks for: structured lines on standard error and in a file.
func (o *options) logger(c config) (*slog.Logger, func(), error) {
	var handlers []slog.Handler
	done := func() {}
	if c.Log.Stdout.Enable {
		handlers = append(handlers, slog.NewTextHandler(o.err, &slog.HandlerOptions{Level: level(c.Log.Stdout.Level)}))
	}
	if c.Log.File.Enable {
		if err := os.MkdirAll(filepath.Dir(c.Log.File.Path), 0o700); err != nil {
			return nil, nil, fmt.Errorf("log.file.path: %w", err)
		}
		f, err := os.OpenFile(c.Log.File.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("log.file.path: %w", err)
		}
		done = func() { _ = f.Close() }
		handlers = append(handlers, slog.NewJSONHandler(f, &slog.HandlerOptions{Level: level(c.Log.File.Level)}))
	}
	if len(handlers) == 0 {
		return slog.New(slog.NewTextHandler(io.Discard, nil)), done, nil
	}
	return slog.New(slog.NewMultiHandler(handlers...)).With("app", c.App.Name, "party", c.App.PartyID), done, nil
}

// level translates the guide's levels: 0 panic, 1 fatal, 2 error, 3 warn, 4 info, 5 debug, 6 trace.
func level(n int) slog.Level {
	switch {
	case n <= 2:
		return slog.LevelError
	case n == 3:
		return slog.LevelWarn
	case n == 4:
		return slog.LevelInfo
	default:
		return slog.LevelDebug
	}
}
