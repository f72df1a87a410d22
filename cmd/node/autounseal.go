package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/token"
	"github.com/countersign-mpc/countersign/node"
)

// autoUnsealConfig is [storage.auto-unseal].
type autoUnsealConfig struct {
	Module     string `toml:"module"`
	TokenLabel string `toml:"token-label"`
	KeyLabel   string `toml:"key-label"`
	PINPath    string `toml:"pin-path"`

	TimeoutSeconds int `toml:"timeout-seconds"`
}

// maxTokenWait bounds timeout-seconds: who asks for auto-unseal enable waits for adminTimeout.
const maxTokenWait = 50

func (a autoUnsealConfig) configured() bool { return a.token() != token.Config{} }

func (a autoUnsealConfig) timeout() time.Duration {
	return time.Duration(a.TimeoutSeconds) * time.Second
}

func (a autoUnsealConfig) token() token.Config {
	return token.Config{Module: a.Module, TokenLabel: a.TokenLabel, KeyLabel: a.KeyLabel, PINPath: a.PINPath}
}

func (a autoUnsealConfig) validate() error {
	if a.TimeoutSeconds < 1 || a.TimeoutSeconds > maxTokenWait {
		return fmt.Errorf("  storage.auto-unseal.timeout-seconds is %d: 1 to %d is needed", a.TimeoutSeconds, maxTokenWait)
	}
	if !a.configured() {
		return nil
	}
	if err := a.token().Validate(); err != nil {
		return fmt.Errorf("  storage.auto-unseal: %w", err)
	}
	if !filepath.IsAbs(a.Module) {
		return errors.New("  storage.auto-unseal.module is no absolute path: else the loader would look for it where others may write")
	}
	return nil
}

// autoKey is what opens the configured key; nil: none is configured.
func (c *config) autoKey() func() (node.AutoKey, error) {
	a := c.Storage.AutoUnseal
	if !a.configured() {
		return nil
	}
	return func() (node.AutoKey, error) { return token.Open(a.token()) }
}

// autoUnseal tries once, at the start, to open a node without people. Whatever is missing, the node then stays sealed and waits
// for its password. What it returns waits for the end.
func autoUnseal(ctx context.Context, n *node.Node, log *slog.Logger) func() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := n.AutoUnseal(ctx)
		switch {
		case err == nil:
			log.Warn("unsealed by the key of auto-unseal", "means", node.AutoUnsealWarning)
		case ctx.Err() != nil: // the node is stopping
		case !errors.Is(err, keystore.ErrNoAuto) && !errors.Is(err, keystore.ErrUnsealed):
			log.Error("auto-unseal failed: the node is sealed and waits for its password", "error", err)
		}
	}()
	return func() { <-done }
}

func (o *options) autoUnsealCommand() *cobra.Command {
	parent := &cobra.Command{Use: "auto-unseal", Short: "Let a key in a PKCS #11 token open the node at its start"}
	const about = ` It removes what t-of-n segments give:
whoever can use the token on this machine opens the node alone.`
	enable := o.autoUnsealCall("enable", "Let the key of [storage.auto-unseal] open the node from its next start on",
		`Let the key of [storage.auto-unseal] open the node from its next start on, beside the password.`+about+`

Run reset first, which asks for the present password or t segments, and then this within ten minutes. The password stays as it
is. rekey ends auto-unseal; cmreset does not.`)
	disable := o.autoUnsealCall("disable", "End auto-unseal: only the password opens the node again",
		`End auto-unseal: only the password, or t segments, open the node again. Copies of asset.db that were made before, backups among
them, still open with the key in the token: destroy the key, or the copies, or run rekey and destroy the copies.`)
	parent.AddCommand(enable, disable, o.makeKey())
	return parent
}

func (o *options) autoUnsealCall(use, short, long string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, Example: "  mpc-node auto-unseal " + use, RunE: func(cmd *cobra.Command, _ []string) error {
		return o.post(cmd.Context(), "/sys/auto-unseal/"+use, nil)
	}}
}

func (o *options) makeKey() *cobra.Command {
	return &cobra.Command{
		Use: "make-key", Short: "Make the AES-256 key of [storage.auto-unseal] in its token", Args: cobra.NoArgs,
		Long:    `Make the AES-256 key of [storage.auto-unseal] in its token, which cannot be read or exported. The node need not run.`,
		Example: "  mpc-node auto-unseal make-key",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.loadConfig()
			if err != nil {
				return err
			}
			if !c.Storage.AutoUnseal.configured() {
				return errors.New("no key for auto-unseal is configured: [storage.auto-unseal] names it")
			}
			cfg := c.Storage.AutoUnseal.token()
			if err := makeKey(cmd.Context(), c.Storage.AutoUnseal.timeout(), func() error { return token.Generate(cfg) }); err != nil {
				return err
			}
			fmt.Fprintf(o.out, "made %s; next: mpc-node reset, mpc-node auto-unseal enable\n", cfg.Name())
			return nil
		},
	}
}

// makeKey waits for a token so long, and no longer than ctx lasts: a call into a module that hangs cannot be ended, only left.
func makeKey(ctx context.Context, wait time.Duration, generate func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("the token did not answer within %v: look at it, and whether it has the key already, then try again", wait))
	defer cancel()
	made := make(chan error, 1)
	go func() { made <- generate() }()
	select {
	case err := <-made:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
