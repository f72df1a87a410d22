package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
)

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
	n, err := node.New(node.Config{Store: store, Settings: settings, Protocols: node.Threshold{}, LinkURL: c.linkURL(),
		Software: "mpc-node " + version, Log: log, Segments: c.loadSegments, BackupDir: c.Backup.Directory,
		Protections: append(harden(), lockMemory())})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sides, err := listeners.Open(c.AddressFile,
		listeners.Side{Name: "admin", Key: "storage.unseal-server-address", Address: c.Storage.UnsealServerAddress, WriteTimeout: adminTimeout,
			Handler: n.Admin(node.AdminConfig{Hosts: c.Storage.UnsealServerNames, Stop: cancel})},
		listeners.Side{Name: "monitoring", Key: "monitoring.address", Address: c.Monitoring.Address, Handler: n.Health()})
	if err != nil {
		return err
	}
	for _, warning := range settings.Warnings() {
		log.Warn(warning)
	}
	log.Info("node started", "version", version, "state", n.State(), "admin", sides.Address("admin"), "monitoring", sides.Address("monitoring"),
		"next", nextStep(n.State()))
	fmt.Fprintf(o.out, "%s instance name: %s, unseal server address: %s\n", "mpc-node", c.App.Name, sides.Address("admin"))
	defer c.schedule(ctx, cancel, n)()
	return sides.Run(ctx, nil)
}

// schedule starts the backups that the configuration asks for. What it returns ends them and waits.
func (c *config) schedule(ctx context.Context, cancel context.CancelFunc, n *node.Node) func() {
	if c.Backup.EveryHours == 0 {
		return func() {}
	}
	ticker, done := time.NewTicker(time.Duration(c.Backup.EveryHours)*time.Hour), make(chan struct{})
	go func() {
		defer close(done)
		n.BackupOn(ctx, ticker.C, c.Backup.Keep)
	}()
	return func() { cancel(); ticker.Stop(); <-done }
}

func nextStep(state string) string {
	if state == keystore.Uninitialised.String() {
		return "mpc-node init"
	}
	return "mpc-node unseal"
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
