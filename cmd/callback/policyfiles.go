package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/bundle"
	"github.com/countersign-mpc/countersign/rego"
)

// policyFiles is where a policy is read from.
type policyFiles struct {
	dir      string // "": the policy that is shipped in the program, unless there is a bundle
	dataPath string // "": data.json in the same place
	bundle   string // file of a bundle, in place of dir; "": none
	keyPaths []string
	floor    *bundle.Floor // the newest bundle that was accepted; nil: nobody remembers
	reads    *readBundles  // what was read of the bundle; nil: nobody asks
	keys     *callback.Keys
}

// readBundles remembers the bundle that was read last, until its policy is the active one.
type readBundles struct {
	mu   sync.Mutex // guards last
	last *bundle.Bundle
}

func (f policyFiles) read() (*policy.Source, error) {
	switch {
	case f.bundle != "":
		return f.readBundle()
	case f.dir == "":
		return policy.Load(rego.FS(), f.dataPath)
	}
	source, err := policy.Load(os.DirFS(f.dir), f.dataPath)
	if err != nil { // it names files as they are within the folder
		return nil, fmt.Errorf("policy folder %s: %w", f.dir, err)
	}
	return source, nil
}

func (f policyFiles) readBundle() (*policy.Source, error) {
	keys, err := readBundleKeys(f.keyPaths)
	if err != nil {
		return nil, err
	}
	b, err := bundle.ReadFile(f.bundle, keys)
	if err != nil {
		return nil, err
	}
	if f.floor != nil {
		if err := f.floor.Check(b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.bundle, err)
		}
	}
	if f.reads != nil {
		f.reads.mu.Lock()
		f.reads.last = b
		f.reads.mu.Unlock()
	}
	if f.dataPath == "" {
		return b.Source, nil
	}
	return b.Source.WithData(f.dataPath)
}

// signed reads the bundle, where one has to be signed; nil: none has to be.
func (f policyFiles) signed() func() (*policy.Source, error) {
	if f.bundle == "" || len(f.keyPaths) == 0 {
		return nil
	}
	return f.read
}

// accepted notes that the bundle that was read last is the newest one, if the policy that is the active one now is the bundle's. A
// bundle that passes and does not go live, such as for want of approvals, must leave no note: the one that is live would be refused
// at the next start.
func (f policyFiles) accepted(revision string) error {
	f.reads.mu.Lock()
	defer f.reads.mu.Unlock()
	if f.reads.last == nil || f.floor == nil {
		return nil
	}
	of, err := f.reads.last.Source.Revision()
	if err != nil || of != revision {
		return err
	}
	return f.floor.Accept(f.reads.last)
}

// readBundleKeys reads the public keys by which bundles have to be signed.
func readBundleKeys(paths []string) ([]bundle.Key, error) {
	var problems []error
	keys := make([]bundle.Key, 0, len(paths))
	for _, path := range paths {
		text, err := readSmall(path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		key, err := bundle.ParseKey(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
			continue
		}
		keys = append(keys, key)
	}
	return keys, errors.Join(problems...)
}

// data names the data that is read.
func (f policyFiles) data() string {
	switch {
	case f.dataPath != "":
		return f.dataPath
	case f.bundle != "":
		return f.bundle
	case f.dir != "":
		return filepath.Join(f.dir, "data.json")
	}
	return "data.json shipped in this program, which allows nothing"
}

func (c *config) policyFiles() policyFiles {
	f := policyFiles{dir: c.Policy.Dir, dataPath: c.Policy.DataPath, bundle: c.Policy.Bundle, keyPaths: c.Policy.BundleKeyPaths, reads: &readBundles{}}
	if f.bundle != "" {
		f.floor = bundle.OpenFloor(c.Policy.BundleFloorPath)
	}
	return f
}

// checkBundle checks the settings of a bundle against those beside them.
func (c *config) checkBundle() error {
	var problems []error
	problem := func(text string) { problems = append(problems, errors.New("  "+text)) }
	if c.Policy.Bundle == "" {
		if len(c.Policy.BundleKeyPaths) > 0 {
			problem("policy.bundle-key-paths says who signs bundles, but policy.bundle names none")
		}
		return errors.Join(problems...)
	}
	if c.Policy.Dir != "" || c.Policy.DataPath != "" {
		problem("policy.bundle is all of a policy: leave out policy.dir and policy.data-path")
	}
	if c.Policy.BundleFloorPath == "" {
		problem("policy.bundle-floor-path must not be empty: an older bundle would be taken for a newer one")
	}
	return errors.Join(problems...)
}

// flags are those by which a command is told where the policy is.
func (f *policyFiles) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "dir", "", "folder of the policy (default: as configured, or the policy shipped in this program)")
	cmd.Flags().StringVar(&f.dataPath, "data", "", "its data (default: as configured, or data.json in the same place)")
	cmd.Flags().StringVar(&f.bundle, "bundle", "", "bundle of the policy (.tar.gz), in place of a folder")
	cmd.MarkFlagsMutuallyExclusive("dir", "bundle")
}

// ownData takes the data.json that stands in the folder of modules, where there is one.
func (f *policyFiles) ownData() {
	if _, err := os.Stat(filepath.Join(f.dir, "data.json")); err == nil {
		f.dataPath = ""
	}
}

// configured takes from the configuration what no flag says. A bundle that a flag names may be older than the newest one.
func (f *policyFiles) configured(cmd *cobra.Command, c *config) {
	flags, from := cmd.Flags(), c.policyFiles()
	f.keyPaths = from.keyPaths
	if !flags.Changed("dir") && !flags.Changed("bundle") {
		f.dir, f.bundle, f.floor = from.dir, from.bundle, from.floor
	}
	if !flags.Changed("data") && !flags.Changed("bundle") {
		f.dataPath = from.dataPath
	}
}
