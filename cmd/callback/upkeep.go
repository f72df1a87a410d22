package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/callback/witness"
	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/servertls"
	"github.com/countersign-mpc/countersign/ledger"
)

// witnessConfig is an [[audit-log.witness]].
type witnessConfig struct {
	Name      string `toml:"name"`
	File      string `toml:"file"`
	URL       string `toml:"url"`
	TokenPath string `toml:"token-path"`
	CAPath    string `toml:"ca-path"`
}

// checkUpkeep checks what is said of the log's retention and witnesses.
func (c *config) checkUpkeep() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	if keep := time.Duration(c.AuditLog.Keep); keep < 0 || keep > 0 && keep < callback.MinRetention {
		problem("audit-log.keep is %v: at least %v (%d days) are possible, or \"0s\" to keep everything", keep, callback.MinRetention, callback.MinRetention/(24*time.Hour))
	}
	if c.AuditLog.CheckpointEvery <= 0 {
		problem("audit-log.checkpoint-every is %v: it has to be positive", time.Duration(c.AuditLog.CheckpointEvery))
	}
	names := map[string]bool{}
	for i, w := range c.AuditLog.Witness {
		if w.Name == "" || names[w.Name] {
			problem("audit-log.witness number %d needs a name of its own", i+1)
		}
		names[w.Name] = true
		if (w.File == "") == (w.URL == "") {
			problem("audit-log.witness %s needs either file or url", w.Name)
		}
		if w.File != "" && (w.TokenPath != "" || w.CAPath != "") {
			problem("audit-log.witness %s: token-path and ca-path are for a url", w.Name)
		}
		if err := checkWitnessURL(w.URL); err != nil {
			problem("audit-log.witness %s: %v", w.Name, err)
		}
	}
	return errors.Join(problems...)
}

// checkWitnessURL refuses what could be listened to and answered by anybody on the way.
func checkWitnessURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("url is no https://host/path")
	}
	if u.Scheme == "http" && conffile.Loopback(hostPort(u)) != nil {
		return errors.New("url is http: another host needs https")
	}
	return nil
}

// upkeepPaths are the settings about the log's upkeep that name files.
func (c *config) upkeepPaths() []*string {
	var out []*string
	for i := range c.AuditLog.Witness {
		w := &c.AuditLog.Witness[i]
		out = append(out, &w.File, &w.TokenPath, &w.CAPath)
	}
	return out
}

// witnesses makes the configured ones. Tokens are read with each checkpoint, and once here to see that they are there.
func (c *config) witnesses() ([]callback.Witness, error) {
	var problems []error
	var out []callback.Witness
	for _, w := range c.AuditLog.Witness {
		made, err := w.open()
		if err != nil {
			problems = append(problems, fmt.Errorf("audit-log.witness %s: %w", w.Name, err))
			continue
		}
		out = append(out, made)
	}
	return out, refused(errors.Join(problems...))
}

func (w witnessConfig) open() (callback.Witness, error) {
	if w.File != "" {
		return witness.NewFile(w.Name, w.File), nil
	}
	cfg := witness.HTTPConfig{Name: w.Name, URL: w.URL}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if w.CAPath != "" {
		pool, err := servertls.ReadPool(w.CAPath)
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool
	}
	cfg.Client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, MaxIdleConns: 1}}
	if w.TokenPath == "" {
		return witness.NewHTTP(cfg), nil
	}
	cfg.Token = func() (string, error) {
		token, err := readToken(w.TokenPath)
		if err != nil {
			return "", err
		}
		defer token.Wipe()
		return string(token.Expose()), nil
	}
	_, err := cfg.Token()
	return witness.NewHTTP(cfg), err
}

// grownFromWitnessed checks that the log grew out of what its witness files last saw, so that an old copy of the ledger, in
// which what was decided since is unknown, does not decide again.
func grownFromWitnessed(ctx context.Context, l *ledger.Ledger, witnesses []callback.Witness) error {
	for _, w := range witnesses {
		f, ok := w.(*witness.File)
		if !ok {
			continue
		}
		last, err := f.Last()
		if err != nil {
			return refused(err)
		}
		if last == nil {
			continue
		}
		proof, err := l.ProveGrowth(ctx, last)
		if err == nil {
			_, _, err = auditlog.CheckConsistency(l.LogPublic(), last, proof)
		}
		if err != nil {
			return refused(fmt.Errorf("the log did not grow out of the last checkpoint of witness %s: the ledger is an older copy, or another one. If that is meant, since "+
				"a backup was restored and nothing that was decided after it can be had, move the witness's file away and start again (%w)", f.Name(), err))
		}
	}
	return nil
}

// keep does the server's upkeep until the function that it returns is called; that one shows witnesses the log as it is then.
func keep(ctx context.Context, server *callback.Server, log *slog.Logger) (stop func()) {
	running, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { server.Keep(running); close(ended) }()
	return func() {
		end()
		<-ended
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := server.Checkpoint(last); err != nil {
			log.Warn("not every witness has the log's last checkpoint", "error", err)
		}
	}
}

func (o *options) logPrune() *cobra.Command {
	var server admin
	before, asJSON := "", false
	cmd := &cobra.Command{
		Use: "prune --before TIME", Short: "Remove old entries from the log; checkpoints, windows and the hashes of entries and ids stay",
		Long: `Remove what was recorded before TIME, a date (its first moment, UTC) or a time as in RFC 3339, at least 31 days ago. The log stays
provable, callback_ids stay taken, and what windows have counted stays counted; inputs, replies and signature results are gone for
good, so export them before ("callback log export"). A server does it by itself with audit-log.keep.`,
		Example: "  callback log prune --before 2026-01-01\n  callback log prune --before 2026-01-01T12:00:00Z --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := time.Parse(time.RFC3339, before)
			if err != nil {
				if at, err = time.Parse(time.DateOnly, before); err != nil {
					return refused(fmt.Errorf("--before %q is no date such as 2026-01-01 and no time such as 2026-01-01T12:00:00Z", before))
				}
			}
			var view callback.PruneView
			if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/log/prune", callback.PruneRequest{Before: at}, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			fmt.Fprintf(o.out, "%s from before %s removed; the hashes stay\n", counted(view.Removed, "entry"), view.Before.Format(time.RFC3339))
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&before, "before", "", "what is older than this is removed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("before")
	return cmd
}
