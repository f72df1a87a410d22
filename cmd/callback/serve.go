package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/logging"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

const stopTimeout = 15 * time.Second

func (o *options) serve() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the callback server in the foreground",
		Long: `Run the callback server until it gets SIGINT or SIGTERM; what it is answering then it answers to the end.

SIGHUP reads the policy anew, unless policy.source is "activated", and the files of TLS certificates. What an operator handed in stays
where the policy's files have not changed since: callback policy reload makes those live. A policy that does not compile or
pass the lint and its own tests keeps the server from starting; at a reload the one before stays. Which policy decides is said at
the start, and stands in the ledger: see "callback policy history".`,
		Example: "  callback serve --config /etc/countersign/callback.toml",
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

// runServer is the whole life of a server. Nothing is made on the disk before configuration, keys and policy have passed.
func (o *options) runServer(ctx context.Context, c *config) (err error) {
	log := logging.New(c.Log.Level, c.Log.Format, o.err)
	nodes, err := c.nodes()
	if err != nil {
		return err
	}
	apart, err := o.prover(log)
	if err != nil {
		return err
	}
	files := c.policyFiles()
	start := callback.PolicyStart{
		Source: c.policySource(), Log: log, Accepted: files.accepted,
		Live: policy.LiveConfig{Read: files.read, Engine: policy.Config{Timeout: time.Duration(c.Policy.Timeout)}, Prover: apart},
	}
	if start.Source == callback.PolicyFiles {
		if err := start.ReadFiles(ctx); err != nil {
			return refused(err)
		}
	}
	books, err := o.openBooks(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, books.close()) }()
	start.Ledger = books.ledger
	live, err := callback.OpenPolicy(ctx, start)
	if err != nil {
		return refused(err)
	}
	log.Info("policy loaded", "revision", live.Engine().Revision(), "source", string(start.Source))
	token, err := openToken(c.AdminTokenPath)
	if err != nil {
		return err
	}
	defer token.Wipe()
	resultKey, err := openResultKey(c.Results.KeyPath)
	if err != nil {
		return err
	}
	keys, err := c.known()
	if err != nil {
		return refused(err)
	}
	side, err := c.openSides()
	if err != nil {
		return err
	}
	defer side.wipe()
	witnesses, err := c.witnesses()
	if err != nil {
		return err
	}
	if err := grownFromWitnessed(ctx, books.ledger, witnesses); err != nil {
		return err
	}
	var shadow func() (*policy.Source, error)
	if c.Policy.Shadow.on() {
		shadow = c.shadowFiles().read
	}
	server, err := callback.New(callback.Config{
		Shadow: shadow, SignedPolicy: files.signed(),
		Ledger: books.ledger, Policy: live, PolicySource: start.Source, PolicyAccepted: files.accepted, Nodes: nodes, Keys: keys, ResultKey: resultKey, AdminToken: token, ActionStyle: wire.ActionStyle(c.ActionStyle),
		BodyLimit: c.BodyLimit, RateLimit: c.rateLimit(), MaxConcurrent: c.maxConcurrent(), Log: log, Version: version,
		Operators: side.operators, AdminTLS: side.admin != nil, Certificates: side.certificates(),
		Retention: time.Duration(c.AuditLog.Keep), CheckpointEvery: time.Duration(c.AuditLog.CheckpointEvery), Witnesses: witnesses,
		StoreBytes: c.storeBytes(), CopyStore: books.copier(ctx),
	})
	if err != nil {
		return err
	}
	l, err := listeners.Open(c.AddressFile,
		listeners.Side{Name: "callback", Key: "listen", Address: c.Listen, Handler: server.Handler(), TLS: serverTLS(side.nodes), Log: log},
		listeners.Side{Name: "admin", Key: "admin-listen", Address: c.AdminListen, Handler: server.Admin(), TLS: serverTLS(side.admin), Log: log})
	if err != nil {
		return err
	}
	defer keep(ctx, server, log)()
	defer reloadOnHangup(func() {
		if start.Source == callback.PolicyFiles {
			_, _ = server.RereadPolicy(ctx) // it logs what came of it
		} else {
			log.Info("the policy is not read at SIGHUP: policy.source is \"activated\"")
		}
		_ = server.ReloadShadow(ctx) // it logs what came of it
		side.reload(log)
	})()
	if c.Policy.Bundle != "" && len(c.Policy.BundleKeyPaths) == 0 {
		log.Warn("policy.bundle is taken whoever made it: policy.bundle-key-paths names no key", "bundle", c.Policy.Bundle)
	}
	if len(c.Node) == 0 {
		log.Warn("no [[node]] is configured: every request is refused")
	}
	if side.nodes == nil && conffile.Loopback(c.Listen) != nil {
		log.Warn("listen is reached from other hosts without TLS: requests are signed, and what they say can be read on the way", "listen", c.Listen)
	}
	log.Info("callback server started", "version", version, "callback", l.Address("callback"), "admin", l.Address("admin"), "nodes", len(c.Node))
	fmt.Fprintf(o.out, "callback %s: serving nodes on %s, admin on %s, policy %s\n", version, l.Address("callback"), l.Address("admin"), live.Engine().Revision())
	return l.Run(ctx, nil)
}

// books are the ledger and where it is kept.
type books struct {
	store  store
	ledger *ledger.Ledger
}

func (o *options) openBooks(ctx context.Context, c *config) (*books, error) {
	key, err := c.logKey()
	if err != nil {
		return nil, err
	}
	store, err := c.openStore(ctx)
	if err != nil {
		return nil, err
	}
	if o.wrapStore != nil {
		store = o.wrapStore(store)
	}
	l, err := ledger.New(ctx, ledger.Config{Store: store, Origin: c.AuditLog.Origin, LogKey: key})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &books{store, l}, nil
}

// close signs the log as it is, and closes the file.
func (b *books) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_, err := b.ledger.Checkpoint(ctx)
	return errors.Join(err, b.store.Close())
}

// reloadOnHangup reloads at each SIGHUP until the function that it returns is called.
func reloadOnHangup(reload func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-hangups:
				reload()
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		close(done)
		wg.Wait()
	}
}

func (o *options) checkConfig() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "check-config", Short: "Check the configuration, the keys and the policy, and say everything that is wrong",
		Long: `Check the configuration file, every key that it names, that no two nodes share a reply key, and that the policy compiles and
passes its lint and its own tests. Nothing is made or changed; the server may be running.`,
		Example: "  callback check-config --config callback.toml\n  callback check-config --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			nodes, nodeErr := c.nodes()
			engine, policyErr := buildEngine(cmd.Context(), c.policyFiles())
			var shadowErr error
			if c.Policy.Shadow.on() {
				if _, shadowErr = buildEngine(cmd.Context(), c.shadowFiles()); shadowErr != nil {
					shadowErr = fmt.Errorf("policy.shadow: %w", shadowErr)
				}
			}
			_, knownErr := c.known()
			_, witnessErr := c.witnesses()
			if err := errors.Join(nodeErr, policyErr, shadowErr, knownErr, c.checkMade(), c.checkSides(), witnessErr); err != nil {
				return refused(err)
			}
			if asJSON {
				names := []string{}
				for _, n := range nodes {
					names = append(names, n.Name)
				}
				return o.printJSON(map[string]any{"config": o.config, "nodes": names, "revision": engine.Revision()})
			}
			fmt.Fprintf(o.out, "%s: ok, %s, policy %s\n", o.config, counted(len(nodes), "node"), engine.Revision())
			if len(nodes) == 0 {
				fmt.Fprintln(o.out, "warning: no [[node]] is configured: every request would be refused")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
