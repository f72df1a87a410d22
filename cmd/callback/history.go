package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
)

func (o *options) policyHistory() *cobra.Command {
	var server admin
	asJSON, out := false, ""
	most, before := 20, uint64(0)
	cmd := &cobra.Command{
		Use: "history [REVISION]", Short: "List which policies were live: who made them live, when, from what, why, and who approved",
		Long: `List the activations of policies, newest first; the first line is the policy that decides now. Each is an entry of the log:
"callback log prove ID" proves it. With a REVISION and --out write that policy into a folder, as it was live: its Rego files and its
data.json.`,
		Example: `  callback policy history --config callback.toml
  callback policy history --json
  callback policy history 5f0c…e1 --out before`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return o.writeRevision(cmd, &server, args[0], out)
			}
			if most < 1 {
				return errors.New("--list: at least one is listed")
			}
			path := "/admin/v1/policy/history"
			if before > 0 {
				path += fmt.Sprintf("?before=%d", before)
			}
			var view callback.HistoryView
			if err := o.call(cmd.Context(), &server, "GET", path, nil, &view); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(view)
			}
			if len(view.Activations) == 0 && before == 0 {
				fmt.Fprintln(o.out, "no policy was made live yet: the one of the files decides")
			}
			for i, a := range view.Activations {
				if i == most {
					fmt.Fprintf(o.out, "more with --before %d\n", view.Activations[i-1].Number)
					return nil
				}
				o.printActivation(a)
			}
			if view.Next > 0 {
				fmt.Fprintf(o.out, "more with --before %d\n", view.Next)
			}
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "with a REVISION: the folder to write it into, which must not be there")
	cmd.Flags().IntVar(&most, "list", most, "how many are listed, at most 1000")
	cmd.Flags().Uint64Var(&before, "before", 0, "only activations before the one of this number: go on where the page before ended")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) printActivation(a ledger.ActivationRecord) {
	from := a.From
	if from == "" {
		from = "nothing"
	}
	fmt.Fprintf(o.out, "%d  %s  %s\n", a.Number, a.Time.UTC().Format(time.RFC3339), a.To)
	fmt.Fprintf(o.out, "   by %s (%s), from %s; entry %s\n", printable(a.Operator), a.How, short(from), a.ID)
	if a.Reason != "" {
		fmt.Fprintf(o.out, "   why: %s\n", printable(a.Reason))
	}
	if a.Proposal != "" {
		var names []string
		for _, v := range a.Votes {
			names = append(names, fmt.Sprintf("%s by %s", v.Decision, v.Approver))
		}
		fmt.Fprintf(o.out, "   proposal %s, effect %s: %s\n", a.Proposal, a.Effect, printable(strings.Join(names, "; ")))
	}
}

// short is a revision as it is shown beside another.
func short(revision string) string {
	if len(revision) > 12 {
		return revision[:12]
	}
	return revision
}

// writeRevision writes a policy that was live into a new folder.
func (o *options) writeRevision(cmd *cobra.Command, server *admin, revision, dir string) error {
	if dir == "" {
		return refused(fmt.Errorf("--out names no folder to write the policy into"))
	}
	var view callback.RevisionView
	if err := o.call(cmd.Context(), server, "GET", "/admin/v1/policy/revisions/"+url.PathEscape(revision), nil, &view); err != nil {
		return err
	}
	source := view.Source()
	if got, err := source.Revision(); err != nil || got != revision {
		return refused(fmt.Errorf("what the server gives for %s is another policy (%s, %v)", short(revision), short(got), err))
	}
	files := map[string][]byte{"data.json": source.Data}
	for name, text := range source.Modules {
		files[name] = text
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, text := range files { // the server chose the names: a root keeps them inside
		if err := root.MkdirAll(filepath.Dir(filepath.FromSlash(name)), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(filepath.FromSlash(name), text, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.out, "%s: policy %s, %s\n", dir, revision, counted(len(files), "file"))
	return nil
}
