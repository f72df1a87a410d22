// Command mpc-node is one party of the MPC stack: it holds sealed key shares and takes part in signing after its callback
// servers have approved. `mpc-node start` runs it; most other commands talk to the running node.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/node/asking"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "dev"

func main() {
	harden() // also of the commands that read a password and send it
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	again := make(chan struct{})
	go func() {
		<-signals
		cancel()
		<-signals
		close(again)
		time.Sleep(secondSignal)
		os.Exit(exitFailed)
	}()
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, again: again})
	os.Exit(code)
}

// secondSignal is how long a command has to end by itself after its second signal.
const secondSignal = time.Second

// streams are the standard streams of a process, and its second signal: the first ends the context.
type streams struct {
	in       io.Reader
	out, err io.Writer
	again    <-chan struct{} // closed by the second signal; nil: none comes
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

The commands but start, version, rekey, restore, "backup verify", "backup list", "password generate", "auto-unseal make-key", check
and "config check" talk to the running node on its admin address, which they read from the configuration
(storage.unseal-server-address, or what the node has written to address-file) unless --address is given.

Exit codes: 0 done; 1 it could not be done, the message says why; 2 the node refused, such as a wrong password or a wrong state;
3 no node answers.`,
		Example:      "  mpc-node start --config config.toml\n  mpc-node init\n  mpc-node unseal\n  mpc-node status",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	opts := &options{streams: io, ended: ctx.Done()}
	root.PersistentFlags().StringVarP(&opts.config, "config", "c", defaultConfigPath(), "configuration file")
	root.PersistentFlags().StringVar(&opts.address, "address", "", "admin address of the node; beyond loopback it is called over TLS (default: from the configuration)")
	root.PersistentFlags().StringVar(&opts.tls.CA, "ca", "", "PEM certificates that count for the node's, where its admin interface has TLS (default: from the configuration)")
	root.PersistentFlags().StringVar(&opts.tls.Certificate, "cert", "", "PEM client certificate for it")
	root.PersistentFlags().StringVar(&opts.tls.Key, "key", "", "PEM key of the client certificate")
	root.PersistentFlags().BoolVar(&opts.behindDocker, "behind-docker", false, "the node runs in a container whose ports are published on the host's loopback only: its listeners may be open inside")
	root.AddCommand(opts.start(), opts.init(), opts.unseal(), opts.seal(), opts.reset(), opts.cmreset(), opts.password(), opts.rekey(), opts.backup(),
		opts.restore(), opts.info(), opts.status(), opts.keys(), opts.sessions(), opts.stop(),
		opts.autoUnsealCommand(), opts.check(), opts.configCheck(), opts.version())
	for _, c := range root.Commands() {
		if c.HasSubCommands() && c.RunE == nil {
			c.RunE = chooseOne
		}
	}
	root.SetHelpCommand(helpCommand(root))
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
	tls             asking.TLSFiles // of the admin interface, as a client of it
	behindDocker    bool
	ended           <-chan struct{} // closed by a signal
	lines           *bufio.Reader   // standard input, once a password was read from it
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
			c, err := o.loadConfig()
			if err == nil {
				fmt.Fprintf(o.out, "%s: ok\n", o.config)
			}
			if !c.read {
				return err
			}
			for _, w := range slices.Concat(c.exposed(), c.halfTLS(), c.settings().Warnings()) {
				fmt.Fprintf(o.out, "warning: %s\n", w)
			}
			return err
		},
	})
	return parent
}

// chooseOne is what a command does that only has others below it.
func chooseOne(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	if len(args) == 0 {
		return fmt.Errorf("name one of its commands: %s", strings.Join(names, ", "))
	}
	message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		message += "\n\nDid you mean this?\n\t" + strings.Join(near, "\n\t")
	}
	return errors.New(message)
}

// helpCommand is cobra's help, which ends with an error where it is asked about a command that is not there.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command", Example: "  mpc-node help backup verify",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return fmt.Errorf("unknown command %q for %q", rest[0], cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
}
