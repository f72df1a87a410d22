package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Levels of a finding.
const (
	levelOK   = "ok"
	levelWarn = "warn" // the node runs, and less well or less safely than it should
	levelFail = "fail" // the node must not run like this
)

// finding is what check says of one thing that it looked at.
type finding struct {
	Name  string `json:"check"`
	Level string `json:"level"`
	Found string `json:"found"`
	Fix   string `json:"fix,omitempty"` // what to do about it; empty where nothing is to be done
}

func good(name, format string, args ...any) finding {
	return finding{Name: name, Level: levelOK, Found: fmt.Sprintf(format, args...)}
}

func (o *options) check() *cobra.Command {
	asJSON, strict := false, false
	cmd := &cobra.Command{
		Use: "check", Short: "Examine the machine, the configuration and the files, and say what to fix", Args: cobra.NoArgs,
		Long: `Examine what the node stands on: cores, memory, disk, clock, ports, limits of the process, the configuration, who may read and
write its files and the folders on the way to them, the store as far as that needs no password, certificates, the container if it runs in one, and the enclave if storage.engine is "sgx". Changes nothing and asks for no
password. Each line is ok, warn (the node runs, and less well or less safely than it should) or FAIL (it must not run like
this: start refuses the same), with what to do.

Exit codes: 0 nothing fails; 1 something fails, or with --strict something is to be warned of.`,
		Example: "  mpc-node check\n  mpc-node check --config /etc/countersign/config.toml --json\n  mpc-node check --strict",
		RunE: func(*cobra.Command, []string) error {
			findings := o.examine(o.thisMachine())
			if err := o.printFindings(findings, asJSON); err != nil {
				return err
			}
			fails, warnings := count(findings, levelFail), count(findings, levelWarn)
			if fails > 0 || strict && warnings > 0 {
				return fmt.Errorf("%d to be fixed, %d to be warned of", fails, warnings)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "fail where something is to be warned of")
	return cmd
}

// examine looks at everything. A configuration that cannot be read hides what depends on it.
func (o *options) examine(m machine) []finding {
	c, err := o.loadConfig()
	if err != nil {
		return append([]finding{{"configuration", levelFail, err.Error(), "mend the file; config.toml of this version shows every key"}}, m.hardware()...)
	}
	out := append([]finding{good("configuration", "%s", o.config)}, m.hardware()...)
	out = append(out, ofHost(m.standing(o.config, c))...)
	out = append(out, m.ports(c)...)
	for _, warning := range c.settings().Warnings() {
		out = append(out, finding{"settings", levelWarn, warning, "see " + o.config})
	}
	return out
}

// standing is what start demands, too: it says what must not be, whatever the machine is worth.
func (m machine) standing(configPath string, c config) []finding {
	out := m.storage(c)
	out = append(out, m.clock(c)...)
	out = append(out, m.files(configPath, c)...)
	out = append(out, m.adminTLS(c)...)
	out = append(out, m.process()...)
	out = append(out, m.container(c)...)
	if c.Storage.Engine == engineSGX {
		out = append(out, m.enclave()...)
	}
	return out
}

// adminTLS looks at the certificate of the admin interface.
func (m machine) adminTLS(c config) []finding {
	const name = "admin-tls"
	if !c.AdminTLS.on() {
		return nil
	}
	source, err := c.adminSource()
	if err != nil {
		return []finding{{name, levelFail, err.Error(), "mend the files that [admin-tls] names"}}
	}
	expires := source.Expires()
	found := "the certificate runs out at " + expires.UTC().Format(time.RFC3339)
	switch {
	case !m.now.Before(expires):
		return []finding{{name, levelWarn, found + ", which is past: no command reaches the node", "put a new certificate there; SIGHUP reads it"}}
	case expires.Sub(m.now) < 14*24*time.Hour:
		return []finding{{name, levelWarn, found, "put a new certificate there; SIGHUP reads it"}}
	}
	return []finding{good(name, "%s", found)}
}

// mayStart refuses to run where something fails, and logs what is to be warned of.
func mayStart(findings []finding, log *slog.Logger) error {
	var fails []error
	for _, f := range findings {
		switch f.Level {
		case levelFail:
			fails = append(fails, fmt.Errorf("%s: %s: %s", f.Name, f.Found, f.Fix))
		case levelWarn:
			log.Warn("check: "+f.Name, "found", f.Found, "fix", f.Fix)
		}
	}
	if len(fails) > 0 {
		return fmt.Errorf("the node must not start like this (mpc-node check says more):\n%w", errors.Join(fails...))
	}
	return nil
}

func count(findings []finding, level string) (n int) {
	for _, f := range findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

func (o *options) printFindings(findings []finding, asJSON bool) error {
	if asJSON {
		return printJSON(o.out, findings)
	}
	for _, f := range findings {
		level := f.Level
		if level == levelFail {
			level = strings.ToUpper(level)
		}
		fmt.Fprintf(o.out, "%-4s  %-14s  %s\n", level, f.Name, strings.ReplaceAll(f.Found, "\n", "\n                      "))
		if f.Fix != "" {
			fmt.Fprintf(o.out, "                      -> %s\n", f.Fix)
		}
	}
	return nil
}
