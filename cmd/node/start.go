package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/servertls"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
)

func (o *options) start() *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Run the node in the foreground; it is sealed until unseal",
		Long: `Run the node in the foreground; it is sealed until unseal.

SIGTERM, SIGINT and the command stop end it: it begins nothing new, /readyz says 503, and the sessions that run have
limits.grace-seconds to end; those that do not are failed. A second signal ends it at once. Both ways the exit code is 0.
SIGHUP opens the log file anew, for those who have moved it away, and reads the files of [admin-tls] again.`,
		Example: "  mpc-node start --config config.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.loadConfig()
			if err != nil {
				return err
			}
			log, err := o.logger(c)
			if err != nil {
				return err
			}
			err = o.serve(cmd.Context(), c, log)
			log.close(err)
			return err
		},
	}
}

// closeTime is how long the end of the node may take once its sessions are over. After that the process ends as if it had
// crashed, which the store outlives.
const closeTime = 10 * time.Second

// serve runs a node until ctx ends or it is told to stop, and then for the grace period.
func (o *options) serve(ctx context.Context, c config, log *logs) (err error) {
	defer o.endAtOnce(log.Logger)()
	machine := o.thisMachine()
	if err := machine.believes(c.exposed()); err != nil {
		return err
	}
	if err := mayStart(machine.standing(o.config, c), log.Logger); err != nil {
		return err
	}
	source, err := c.adminSource()
	if err != nil {
		return err
	}
	defer reloadOnHangup(log, source)()
	n, warnings, err := c.node(log.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeNode(n, log.Logger)) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	admin := listeners.Side{Name: "admin", Key: "storage.unseal-server-address", Address: c.Storage.UnsealServerAddress, WriteTimeout: adminTimeout,
		Handler: n.Admin(node.AdminConfig{Hosts: c.adminHosts(), Stop: stop}), Log: log.Logger}
	if source != nil {
		admin.TLS = source.Config()
	}
	sides, err := listeners.Open(c.AddressFile, admin,
		listeners.Side{Name: "monitoring", Key: "monitoring.address", Address: c.Monitoring.Address, Handler: n.Health(), Log: log.Logger})
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	log.Info("node started", "version", version, "state", n.State(), "admin", sides.Address("admin"), "monitoring", sides.Address("monitoring"),
		"next", nextStep(n.State()))
	fmt.Fprintf(o.out, "%s instance name: %s, unseal server address: %s\n", "mpc-node", c.App.Name, sides.Address("admin"))
	defer c.schedule(ctx, stop, n)()
	defer autoUnseal(ctx, n, log.Logger)()
	return runWithGrace(ctx, stop, sides, n, time.Duration(c.Limits.GraceSeconds)*time.Second)
}

// node makes the node, sealed, and says what weakens it.
func (c *config) node(log *slog.Logger) (*node.Node, []string, error) {
	store, err := c.openStore()
	if err != nil {
		return nil, nil, err
	}
	settings := c.settings()
	n, err := node.New(node.Config{Store: store, Settings: settings, Protocols: node.Threshold{}, LinkURL: c.linkURL(),
		Software: "mpc-node " + version, Log: log, Segments: c.loadSegments, BackupDir: c.Backup.Directory, BackupKeep: c.Backup.Keep, AutoKey: c.autoKey(), AutoWait: c.Storage.AutoUnseal.timeout(),
		Limits:      node.Limits{Requests: c.Limits.Requests, Sessions: c.Limits.Sessions, Parallel: c.Limits.Parallel},
		Protections: append(harden(), lockMemory())})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return n, append(c.exposed(), settings.Warnings()...), nil
}

// runWithGrace serves until ctx ends, and then until the node has drained: /readyz and the commands answer all the while.
func runWithGrace(ctx context.Context, stop func(), sides *listeners.Set, n *node.Node, grace time.Duration) error {
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		defer end()
		<-ctx.Done()
		limited, cancel := context.WithTimeout(serving, grace)
		defer cancel()
		n.Drain(limited)
	}()
	err := sides.Run(serving, nil)
	end()
	stop()
	<-drained
	return err
}

// endAtOnce ends the process at the second signal, whatever it does then: what is stored outlives any end. The function that
// it returns calls that off.
func (o *options) endAtOnce(log *slog.Logger) func() {
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
		case <-o.again:
			log.Warn("node ended at once, by a second signal")
			os.Exit(exitOK)
		}
	}()
	return func() { close(done) }
}

// closeNode seals the node and closes its store, if that does not take too long.
func closeNode(n *node.Node, log *slog.Logger) error {
	closed := make(chan error, 1)
	go func() { closed <- n.Close() }()
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case err := <-closed:
		log.Info("node ended")
		return err
	case <-timer.C:
		log.Warn("node ended while it still computed: that is like a crash, which loses nothing that is stored")
		return nil
	}
}

// reloadOnHangup opens the log anew and reads the TLS files again at each SIGHUP, until the function that it returns is called.
func reloadOnHangup(log *logs, source *servertls.Source) func() {
	hangups, done, ended := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-hangups:
			}
			err := log.reopen()
			if source != nil {
				err = errors.Join(err, source.Reload())
			}
			if err != nil {
				log.Error("not everything could be opened anew at SIGHUP: the rest stays as it was", "error", err)
				continue
			}
			log.Info("log file opened anew, TLS files read again")
		}
	}()
	return func() { signal.Stop(hangups); close(done); <-ended }
}

// schedule starts the backups that the configuration asks for. What it returns ends them and waits.
func (c *config) schedule(ctx context.Context, cancel context.CancelFunc, n *node.Node) func() {
	if c.Backup.EveryHours == 0 {
		return func() {}
	}
	ticker, done := time.NewTicker(node.LookForBackup), make(chan struct{})
	go func() {
		defer close(done)
		n.BackupOn(ctx, ticker.C, time.Duration(c.Backup.EveryHours)*time.Hour)
	}()
	return func() { cancel(); ticker.Stop(); <-done }
}

func nextStep(state string) string {
	if state == keystore.Uninitialised.String() {
		return "mpc-node init"
	}
	return "mpc-node unseal"
}
