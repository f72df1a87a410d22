// Command mpc-node is one party of the MPC stack: it holds sealed key shares and takes part in signing after its callback
// servers have approved. `mpc-node start` runs it; the other commands talk to the running node.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "dev"

func main() {
	harden() // also of the commands that read a password and send it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are the standard streams of a process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit codes that scripts can use.
const (
	exitOK      = 0
	exitFailed  = 1 // the command could not be done; the message says why
	exitRefused = 2 // the node refused: wrong password, wrong state
	exitAway    = 3 // no node answers at the address
)

func run(ctx context.Context, args []string, io streams) int {
	root := &cobra.Command{
		Use:   "mpc-node",
		Short: "One party of Countersign: holds sealed key shares, signs only what its callback approves",
		Long: `mpc-node holds one encrypted share of each key and signs with the other parties.
It is sealed after every start: run "start", then "init" once, then "unseal".

The commands but start, version, rekey, restore, "backup verify", "password generate" and "config check" talk to the running node on its admin address, which they read from the
configuration (storage.unseal-server-address) unless --address is given.

Exit codes: 0 done; 1 it could not be done, the message says why; 2 the node refused, such as a wrong password or a wrong state;
3 no node answers.`,
		Example:      "  mpc-node start --config config.toml\n  mpc-node init\n  mpc-node unseal\n  mpc-node status",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	opts := &options{streams: io}
	root.PersistentFlags().StringVarP(&opts.config, "config", "c", defaultConfigPath(), "configuration file")
	root.PersistentFlags().StringVar(&opts.address, "address", "", "admin address of the node (default: from the configuration)")
	root.AddCommand(opts.start(), opts.init(), opts.unseal(), opts.seal(), opts.reset(), opts.cmreset(), opts.password(), opts.rekey(), opts.backup(),
		opts.restore(), opts.info(), opts.status(), opts.keys(), opts.stop(),
		opts.configCheck(), opts.version())
	root.SetArgs(args)
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(io.err, "mpc-node: %v\n", err)
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFailed
}

// codedError carries the exit code of an error.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// options are the flags that all commands share.
type options struct {
	streams
	config, address string
	lines           *bufio.Reader // standard input, once a password was read from it
}

func (o *options) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Example: "  mpc-node version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		fmt.Fprintf(o.out, "mpc-node %s\n", version)
	}}
}

func (o *options) configCheck() *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	parent.AddCommand(&cobra.Command{
		Use: "check", Short: "Check the configuration file and say everything that is wrong with it",
		Example: "  mpc-node config check --config /etc/countersign/config.toml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			fmt.Fprintf(o.out, "%s: ok\n", o.config)
			for _, w := range c.settings().Warnings() {
				fmt.Fprintf(o.out, "warning: %s\n", w)
			}
			return nil
		},
	})
	return parent
}
