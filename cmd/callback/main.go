// Command callback is Countersign's risk-control server, and the tools around it: keys, policies, approvals, the log.
// `callback serve` runs the server; see `callback --help`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/internal/heap"
	"github.com/countersign-mpc/countersign/internal/processors"
)

// version is set by the build (-ldflags "-X main.version=…").
var version = "dev"

func main() {
	heap.Tune(os.Getenv("GOGC"))
	processors.Tune(os.Getenv("GOMAXPROCS"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&options{again: true}).run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are the standard streams of a process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Exit codes that scripts can use; `callback --help` lists them.
const (
	exitOK         = 0
	exitFailed     = 1
	exitRefused    = 2
	exitAway       = 3
	exitUnexpected = 4
)

func run(ctx context.Context, args []string, io streams) int { return (&options{}).run(ctx, args, io) }

func (o *options) run(ctx context.Context, args []string, io streams) int {
	o.streams = io
	root := o.root()
	root.SetArgs(args)
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(io.err, "callback: %v\n", err)
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFailed
}

// root is the tree of all commands.
func (o *options) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "callback",
		Short: "The risk-control server of Countersign: no key share signs until its policy countersigns",
		Long: `callback answers MPC nodes with Approve, Reject or Wait, by the policy that the security team wrote.
"serve" runs the server. The other commands make keys, check policies, approve what waits, and read results and the log.

Exit codes: 0 done; 1 it could not be done, the message says why; 2 it was refused: a configuration, policy, proof or log that
does not pass, or a server that says no; 3 no server answers; 4 --expect of "policy eval" or "try" saw another decision.`,
		Example: `  callback keys generate reply-a --out keys
  callback check-config --config callback.toml
  callback serve --config callback.toml
  callback approvals --config callback.toml`,
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentFlags().StringVarP(&o.config, "config", "c", "callback.toml", "configuration file")
	root.AddCommand(o.serve(), o.checkConfig(), o.keys(), o.approvals(), o.approve(), o.policy(), o.try(), o.decisions(), o.replay(), o.results(), o.log(), o.clock(), o.migrate(), o.prove(), o.version())
	return root
}

// codedError carries the exit code of an error.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func refused(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{exitRefused, err}
}

// options are what all commands share.
type options struct {
	streams
	config string
	// wrapStore, if not nil, stands between the server and its store: in tests, to end the process at a point of their choice.
	wrapStore func(store) store
	again     bool // this process is the program itself, which may be started again to test a policy
}

// counted is so many of something, in words.
func counted[N int | int64 | uint64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		what = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printJSON writes a value as indented JSON.
func (o *options) printJSON(value any) error {
	enc := json.NewEncoder(o.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

func (o *options) version() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  callback version --json",
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return o.printJSON(map[string]string{"version": version})
			}
			fmt.Fprintf(o.out, "callback %s\n", version)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
