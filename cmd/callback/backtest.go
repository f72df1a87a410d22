package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
)

// pastSource is where recorded decisions are read from.
type pastSource struct {
	db     string // file, or a copy of one
	export string // exported log
}

func (p *pastSource) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.db, "db", "", "another file than the configured db-path: a running server has its own to itself, and callback log copy makes a copy of it")
	cmd.Flags().StringVar(&p.export, "export", "", "a file that \"callback log export\" wrote, instead of a ledger")
}

// open returns the past, oldest first, with the number of records, and what to close.
func (p *pastSource) open(ctx context.Context, configPath string) (past iter.Seq2[callback.Past, error], n int, closeStore func() error, err error) {
	closeStore = func() error { return nil }
	if p.export != "" {
		past, n, err = pastOfFile(p.export)
		return past, n, closeStore, err
	}
	var s store
	if p.db != "" {
		s, err = openCopy(p.db)
	} else {
		var c *config
		if c, err = loadConfig(configPath); err != nil {
			return nil, 0, nil, fmt.Errorf("%w (or give --db or --export)", err)
		}
		if c.Postgres.URLPath != "" {
			s, err = c.openStore(ctx)
		} else {
			s, err = openCopy(c.DBPath)
		}
	}
	if err != nil {
		return nil, 0, nil, damaged(err)
	}
	l, err := ledger.ReadHistory(ctx, s)
	if err == nil {
		past, n, err = callback.PastOfLog(ctx, l, 0)
	}
	if err != nil {
		return nil, 0, nil, errors.Join(damaged(err), s.Close())
	}
	return past, n, s.Close, nil
}

func (o *options) policyBacktest() *cobra.Command {
	var files policyFiles
	var source pastSource
	asJSON := false
	most := 20
	cmd := &cobra.Command{
		Use: "backtest", Short: "Judge the recorded log by another policy: which decisions flip, by rule, number and amount",
		Long: `Judge every recorded request again by the policy of --dir and --data, in the order in which they came. Windows are filled anew by
what this policy approves, and reports of outcomes conclude that; approvals are those that were there. They begin empty at the oldest
record that is there: after old ones were removed, long windows are judged too mildly at first. Nothing is recorded.

` + policyHelp,
		Example: `  callback log copy copy.db && callback policy backtest --data candidate.json --db copy.db
  callback policy backtest --dir candidate --export log.jsonl --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			engine, err := files.build(cmd, o.config)
			if err != nil {
				return err
			}
			past, n, closeStore, err := source.open(cmd.Context(), o.config)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeStore()) }()
			var since time.Time
			result, err := callback.RunBacktest(cmd.Context(), engine, files.keys, sinceFirst(past, &since), o.progress(n))
			if err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(pastBacktest{result, since})
			}
			if !since.IsZero() {
				fmt.Fprintf(o.out, "windows begin empty at %s: what was approved before counts in none\n", since.Format(time.RFC3339))
			}
			o.printBacktest(result, most)
			return nil
		},
	}
	files.flags(cmd)
	source.flags(cmd)
	cmd.Flags().IntVar(&most, "list", most, "how many of the decisions that flip are listed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with every decision that flips")
	return cmd
}

// pastBacktest is what `policy backtest --json` prints.
type pastBacktest struct {
	*callback.Backtest
	Since time.Time `json:"since,omitzero"` // of the oldest record that was judged: windows begin empty there
}

// sinceFirst notes the time of the first record.
func sinceFirst(past iter.Seq2[callback.Past, error], since *time.Time) iter.Seq2[callback.Past, error] {
	return func(yield func(callback.Past, error) bool) {
		for p, err := range past {
			if since.IsZero() && err == nil {
				*since = p.Time.UTC()
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// progress draws a bar on standard error if that is a terminal.
func (o *options) progress(n int) func() {
	f, ok := o.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("judging"), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
	return func() { _ = bar.Add(1) }
}

func (o *options) printBacktest(b *callback.Backtest, most int) {
	fmt.Fprintf(o.out, "revision %s\n%s judged, %s, %d skipped; decisions that would flip: %d\n", b.Revision, counted(b.Judged, "request"), counted(b.Reports, "report"), b.Skipped, len(b.Flips))
	if b.Untaken > 0 {
		fmt.Fprintf(o.out, "%d records have no effect here, since they do not go with what this policy decided before them: %s\n", b.Untaken, printable(firstOf(b.UntakenIDs, b.Untaken)))
	}
	for _, s := range b.Sums {
		o.printSum(s)
	}
	for i, f := range b.Flips {
		if i == most {
			fmt.Fprintf(o.out, "and %d more: --list shows more of them, --json all\n", len(b.Flips)-most)
			break
		}
		o.printFlip(f)
	}
}

// firstOf lists the first of so many.
func firstOf(ids []string, of int) string {
	text := strings.Join(ids, ", ")
	if of > len(ids) {
		text += ", ..."
	}
	return text
}

func (o *options) printSum(s callback.FlipSum) {
	amount := ""
	if s.Asset != "" {
		amount = fmt.Sprintf("  %s base units of %s on %s", s.AmountBase, s.Asset, s.Chain)
	}
	fmt.Fprintf(o.out, "  %-7s -> %-7s  %5d  %s%s\n", s.Was, s.Now, s.Count, printable(s.Rule), printable(amount))
}

func (o *options) printFlip(f callback.Flip) {
	why := f.NowError
	if why == "" {
		why = "approved; before: " + f.WasRule
	}
	fmt.Fprintf(o.out, "%s  %s  %s -> %s  %s\n", f.ID, printable(f.CallbackID), f.Was, f.Now, printable(strings.TrimSpace(why)))
}

func (o *options) logExport() *cobra.Command {
	var source pastSource
	var masks []string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the log as OPA decision-log events, one JSON object a line, oldest first",
		Long: `Write every recorded decision as an event of OPA's decision log: decision_id, timestamp, path, input, result. --mask hides a member
of every input, named by a JSON pointer below /input; with a minus in front it is erased. Each event lists in "masked" and "erased"
what was hidden in it. An export without masks can be judged again: callback policy backtest --export.`,
		Example: `  callback log export --db copy-of-callback.db > log.jsonl
  callback log export --config callback.toml --mask /input/tx_info/note --mask -/input/tx_info/remark`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			hidden, err := parseMasks(masks)
			if err != nil {
				return err
			}
			past, _, closeStore, err := source.open(cmd.Context(), o.config)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeStore()) }()
			for p, err := range past {
				if err != nil {
					return err
				}
				if err := writeEntry(o.out, p, hidden); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&source.db, "db", "", "another file than the configured db-path: a running server has its own to itself, and callback log copy makes a copy of it")
	cmd.Flags().StringArrayVar(&masks, "mask", nil, "JSON pointer of what to hide, below /input, with * for every element of an array; may be given several times")
	return cmd
}
