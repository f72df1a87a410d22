// Command coordinator brings the parties of Countersign's sessions together: sessions, message router, REST.
// `coordinator serve` runs it; see `coordinator --help`.
package main

import (
	"context"
	"encoding/json"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are where a command writes to.
type streams struct{ out, err io.Writer }

// Exit codes that scripts can use; `coordinator --help` lists them.
const (
	exitOK      = 0
	exitFailed  = 1
	exitRefused = 2
)

// errConfig is wrapped where the configuration is at fault.
var errConfig = errors.New("configuration")

// run is the whole command; tests run it too.
func run(ctx context.Context, args []string, io streams) int {
	root := &cobra.Command{
		Use:   "coordinator",
		Short: "Brings the parties of threshold keys together; it never sees a share or a protocol message",
		Long: `coordinator takes requests for keys and signatures by REST, offers them to the nodes that hold the shares, and routes their
sealed messages. "serve" runs it. Relative paths in the configuration are meant from the folder of that file.

Exit codes: 0 done; 1 it could not be done, the message says why; 2 the configuration or a file that it names is at fault.`,
		Example: `  coordinator new-api-key keys/api.key
  coordinator check-config --config coordinator.toml
  coordinator serve --config coordinator.toml`,
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	o := &options{streams: io}
	root.PersistentFlags().StringVarP(&o.config, "config", "c", "coordinator.toml", "configuration file")
	root.AddCommand(o.serve(), o.request(), o.checkConfig(), o.newAPIKey(), o.version())
	root.SetArgs(args)
	root.SetOut(io.out)
	root.SetErr(io.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(io.err, "coordinator: %v\n", err)
	if errors.Is(err, errConfig) {
		return exitRefused
	}
	return exitFailed
}

// options are what all commands share.
type options struct {
	streams
	config string
}

func (o *options) version() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  coordinator version --json",
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return json.NewEncoder(o.out).Encode(map[string]string{"version": version})
			}
			fmt.Fprintf(o.out, "coordinator %s\n", version)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
