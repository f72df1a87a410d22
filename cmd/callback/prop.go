package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/prop"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

// propertiesFile stands beside a policy's modules.
const propertiesFile = "properties.json"

// propOptions are the flags of policy prop.
type propOptions struct {
	files      policyFiles
	properties string
	only       []string
	out        string
	seed       uint64
	cases      int
	time       time.Duration
	asJSON     bool
}

// propNode asks for what is generated; eval calls its node the same.
var propNode = policy.Node{ID: "eval", Name: "eval"}

func (o *options) policyProp() *cobra.Command {
	p := propOptions{cases: prop.DefaultCases, seed: 1}
	cmd := &cobra.Command{
		Use: "prop", Short: "Try properties of a policy on generated requests, and show the one that speaks against it",
		Long: `Try what properties.json says of all requests, such as that nothing above 1000 USDT is approved for an address that is not listed,
on requests that are generated around every threshold of the policy and its data. docs/POLICY.md, "Properties", is the language.
The policy has to compile, and to pass the lint; its tests are not run.

Of a property that does not hold, the plainest request that speaks against it is printed, as a file that "policy eval" takes, with
the rules that fired. The same seed gives the same requests. It ends with code 2 if a property does not hold, or if nothing that was
generated was within its bounds.

` + policyHelp,
		Example: `  callback policy prop --dir policy --data data.json
  callback policy prop --properties treasury.json --only "nothing above 1000 to strangers" --cases 50000 --out found
  callback policy prop --seed 7 --time 1m --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.tryProperties(cmd, &p) },
	}
	p.files.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&p.properties, "properties", "", "file of properties (default: properties.json in the policy's folder, or the ones shipped)")
	f.StringArrayVar(&p.only, "only", nil, "try only the property of this name; may be given several times")
	f.StringVar(&p.out, "out", "", "write what speaks against a property into files of this folder")
	f.Uint64Var(&p.seed, "seed", p.seed, "another number, other requests")
	f.IntVar(&p.cases, "cases", p.cases, "requests tried for each property")
	f.DurationVar(&p.time, "time", 0, "most time for each property, such as 30s (default: as long as it takes)")
	f.BoolVar(&p.asJSON, "json", false, "print JSON")
	return cmd
}

// readProperties reads the properties and says where they stood.
func (p *propOptions) readProperties() ([]prop.Property, error) {
	name, data, err := p.properties, []byte(nil), error(nil)
	switch {
	case name != "":
		data, err = os.ReadFile(name)
	case p.files.dir != "":
		name = filepath.Join(p.files.dir, propertiesFile)
		data, err = os.ReadFile(name)
	default:
		name = propertiesFile + " shipped in this program"
		data, err = fs.ReadFile(rego.FS(), propertiesFile)
	}
	if err != nil {
		return nil, err
	}
	all, err := prop.Parse(name, data)
	if err != nil {
		return nil, refused(err)
	}
	if len(p.only) == 0 {
		return all, nil
	}
	var out []prop.Property
	for _, want := range p.only {
		found := false
		for _, property := range all {
			if property.Name == want {
				out, found = append(out, property), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--only: %s holds no property %q", name, want)
		}
	}
	return out, nil
}

// propReport is what policy prop --json prints.
type propReport struct {
	Data       string        `json:"data"`
	Revision   string        `json:"revision"`
	Seed       uint64        `json:"seed"`
	Approves   int           `json:"approves"` // requests that were found without any bounds and are approved
	Properties []prop.Result `json:"properties"`
	Holds      bool          `json:"holds"`
}

func (o *options) tryProperties(cmd *cobra.Command, p *propOptions) error {
	if p.cases < 1 {
		return errors.New("--cases: at least one is tried")
	}
	source, err := p.files.source(cmd, o.config)
	if err != nil {
		return err
	}
	engine, err := policy.NewUntested(cmd.Context(), policy.Config{Source: source})
	if err != nil {
		return refused(err)
	}
	properties, err := p.readProperties()
	if err != nil {
		return err
	}
	if p.out != "" {
		if err := os.MkdirAll(p.out, 0o755); err != nil {
			return err
		}
	}
	cfg := trying(engine, p.files.keys)
	cfg.Seed, cfg.Cases, cfg.Time = p.seed, p.cases, p.time
	done, bar := 0, o.progress(p.cases*len(properties))
	cfg.Progress = func(tried int) {
		for ; bar != nil && done < tried; done++ {
			bar()
		}
	}
	tester, err := prop.New(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	report := propReport{Data: p.files.data(), Revision: engine.Revision(), Seed: p.seed, Approves: tester.Approves(), Holds: true}
	for i := range properties {
		done = 0
		result, err := tester.Try(cmd.Context(), i, &properties[i])
		if err != nil {
			return err
		}
		cfg.Progress(p.cases)
		report.Properties, report.Holds = append(report.Properties, result), report.Holds && result.Holds()
		files, err := p.save(i, result.Counterexample)
		if err != nil {
			return err
		}
		if !p.asJSON {
			o.printResult(&properties[i], result, files, given(cmd))
		}
	}
	return o.endProperties(p, report)
}

// given are the flags that name the policy, as they were given.
func given(cmd *cobra.Command) string {
	out := ""
	for _, name := range []string{"config", "dir", "data", "bundle"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			out += fmt.Sprintf(" --%s %s", name, f.Value)
		}
	}
	return out
}

// endProperties says what came of all of them.
func (o *options) endProperties(p *propOptions, report propReport) error {
	failed := 0
	for _, r := range report.Properties {
		if !r.Holds() {
			failed++
		}
	}
	if p.asJSON {
		if err := o.printJSON(report); err != nil {
			return err
		}
	} else {
		hold := counted(len(report.Properties)-failed, "property") + " hold"
		if len(report.Properties)-failed == 1 {
			hold += "s"
		}
		fmt.Fprintf(o.out, "data %s\n%s, %d do not\n", report.Data, hold, failed)
		if report.Approves == 0 {
			fmt.Fprintln(o.err, "note: this policy and data approved none of the requests that were generated, so that what forbids an approval holds of itself")
		}
	}
	if failed > 0 {
		return refused(fmt.Errorf("%d of %d properties do not hold", failed, len(report.Properties)))
	}
	return nil
}

// trying judges generated requests as a server would.
func trying(engine *policy.Engine, keys *callback.Keys) prop.Config {
	contracts := keys.ContractsOnly()
	setting := func(s prop.Setting) callback.Setting {
		return callback.Setting{Node: propNode, Now: s.Now, Keys: contracts, Used: s.Used, Approved: s.Approved}
	}
	return prop.Config{
		Engine: engine,
		Judge: func(ctx context.Context, body []byte, s prop.Setting) (prop.Outcome, error) {
			parsed, err := wire.ParseCheck(wire.PathCheck, body)
			if err != nil {
				return prop.Outcome{}, err
			}
			t, err := callback.Try(ctx, engine, parsed, setting(s))
			return outcomeOf(t, err)
		},
		Rehearse: func(ctx context.Context, at time.Time) (prop.Rehearsal, error) {
			r, err := callback.NewRehearsal(ctx, engine, at)
			return rehearsal{r, setting}, err
		},
	}
}

type rehearsal struct {
	*callback.Rehearsal
	setting func(prop.Setting) callback.Setting
}

func (r rehearsal) Judge(ctx context.Context, body []byte, s prop.Setting) (prop.Outcome, error) {
	parsed, err := wire.ParseCheck(wire.PathCheck, body)
	if err != nil {
		return prop.Outcome{}, err
	}
	t, err := r.Try(ctx, parsed, r.setting(s))
	return outcomeOf(t, err)
}

func outcomeOf(t *callback.Trial, err error) (prop.Outcome, error) {
	if err != nil {
		return prop.Outcome{}, err
	}
	return prop.Outcome{Decision: t.Decision, Input: t.Input}, nil
}

// save writes the requests of a counterexample into files and returns their names; without --out none.
func (p *propOptions) save(index int, c *prop.Counterexample) ([]string, error) {
	if c == nil || p.out == "" {
		return nil, nil
	}
	var names []string
	for i, e := range c.Requests {
		name := filepath.Join(p.out, fmt.Sprintf("property-%d.json", index+1))
		if len(c.Requests) > 1 {
			name = filepath.Join(p.out, fmt.Sprintf("property-%d-%03d.json", index+1, i+1))
		}
		if err := os.WriteFile(name, append(bytes.Clone(e.Body), '\n'), 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func (o *options) printResult(property *prop.Property, r prop.Result, files []string, flags string) {
	switch {
	case r.Vacuous && r.Holds():
		fmt.Fprintf(o.out, "ok    %s  (%d requests; the data leave nothing within its bounds, which it allows)\n", printable(r.Name), r.Cases)
	case r.Vacuous:
		fmt.Fprintf(o.out, "FAIL  %s\n      nothing that was generated is within its bounds (%d requests): see given\n", printable(r.Name), r.Cases)
	case r.Counterexample != nil:
		fmt.Fprintf(o.out, "FAIL  %s\n", printable(r.Name))
		o.printCounterexample(property, r.Counterexample, files, flags)
	default:
		fmt.Fprintf(o.out, "ok    %s  (%d requests, %d within its bounds, %d of them approved)\n", printable(r.Name), r.Cases, r.Met, r.Approved)
	}
}

// listed is how many requests of a sequence are printed.
const listed = 5

func (o *options) printCounterexample(property *prop.Property, c *prop.Counterexample, files []string, flags string) {
	indent := "      "
	last := c.Requests[len(c.Requests)-1]
	if c.Sum != "" {
		fmt.Fprintf(o.out, "%s%s %s are approved, by %d requests from %s to %s; the last one:\n", indent, c.Sum, property.Given.Asset[0], len(c.Requests),
			c.Requests[0].Time.Format(time.RFC3339), last.Time.Format(time.RFC3339))
	} else {
		fmt.Fprintf(o.out, "%sthe decision is %s, and it should be: %s\n", indent, last.Decision.Action, expected(property))
	}
	for _, d := range c.Differs {
		fmt.Fprintf(o.out, "%s  %-24s %s\n", indent, d.Field, printable(d.Value))
	}
	if last.Evidence != "" {
		fmt.Fprintf(o.out, "%s  %-24s %s\n", indent, "evidence", last.Evidence)
	}
	for _, reason := range last.Decision.Reasons {
		if reason.Severity == last.Decision.Action && last.Decision.Action != wire.Approve {
			fmt.Fprintf(o.out, "%s  %-24s %s: %s\n", indent, "because", reason.RuleID, printable(reason.Message))
		}
	}
	fmt.Fprintf(o.out, "%sfired     %s\n", indent, strings.Join(last.Decision.Fired, " "))
	for i, e := range c.Requests {
		if i == listed && len(c.Requests) > listed+1 {
			fmt.Fprintf(o.out, "%sand %d more: --out writes all, --json prints all\n", indent, len(c.Requests)-listed)
			break
		}
		name := "request.json"
		if i < len(files) {
			name = files[i]
		} else {
			fmt.Fprintf(o.out, "%srequest   %s\n", indent, printable(string(e.Body)))
		}
		fmt.Fprintf(o.out, "%stry it    callback policy eval %s%s\n", indent, name, flags+evalFlags(e))
	}
}

func expected(p *prop.Property) string {
	if p.By != "" {
		return p.Then + " by " + p.By
	}
	return p.Then
}

// evalFlags are those with which `policy eval` judges a request in the same setting.
func evalFlags(e prop.Example) string {
	out := " --at " + e.Time.UTC().Format(time.RFC3339)
	for _, id := range slices.Sorted(maps.Keys(e.Used)) {
		out += fmt.Sprintf(" --used %s=%s", id, e.Used[id])
	}
	if e.Approved {
		out += " --approved"
	}
	return out
}
