package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// Bounds on a policy.
const (
	maxModules    = 1000
	maxModuleSize = 1 << 20
	dataFile      = "data.json"
	testSuffix    = "_test.rego"
)

// Source is a policy as it was read: the modules, the tests among them, and the data. Nothing of it is checked yet.
type Source struct {
	Modules  map[string][]byte // by slash-separated path; those ending in _test.rego are tests
	DataName string            // as it is named in error messages
	Data     []byte            // data.json
}

// Load reads every *.rego file below the root of modules, and data.json: from the file dataPath, or from the root of
// modules when dataPath is "". YAML data and data files in subdirectories are refused; other files are not looked at.
//
// Load(rego.FS(), "/etc/countersign/data.json") is the shipped policy with own data; Load(os.DirFS(dir), "") an own one.
func Load(modules fs.FS, dataPath string) (*Source, error) {
	s := &Source{Modules: map[string][]byte{}, DataName: dataPath}
	err := fs.WalkDir(modules, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() { // such as the ..data of a mounted ConfigMap, which holds every file a second time
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		case path.Ext(name) == ".rego":
			return s.readModule(modules, name)
		case path.Ext(name) == ".yaml" || path.Ext(name) == ".yml":
			return fmt.Errorf("%s: data in YAML is refused, since large integers lose digits in it: write it into %s", name, dataFile)
		case path.Base(name) == dataFile && name != dataFile:
			return fmt.Errorf("%s: data stands in one %s at the policy's root; own data goes under its /custom", name, dataFile)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	if len(s.Modules) == 0 {
		return nil, errors.New("read policy: no .rego file is there")
	}
	if dataPath == "" {
		s.DataName = dataFile
		s.Data, err = readBounded(func() (fs.File, error) { return modules.Open(dataFile) }, maxDataSize)
	} else {
		s.Data, err = readBounded(func() (fs.File, error) { return os.Open(dataPath) }, maxDataSize)
	}
	if err != nil {
		return nil, fmt.Errorf("read the policy's data: %w", err)
	}
	return s, nil
}

// SourceOf makes a source of files by name, modules and data.json at the root, within the bounds that Load has.
func SourceOf(files map[string][]byte) (*Source, error) {
	s := &Source{Modules: map[string][]byte{}, DataName: dataFile}
	for _, name := range sortedKeys(files) {
		switch b := files[name]; {
		case name == dataFile && len(b) > maxDataSize:
			return nil, fmt.Errorf("%s: is longer than %d bytes", name, maxDataSize)
		case name == dataFile:
			s.Data = bytes.Clone(b)
		case path.Ext(name) != ".rego":
			return nil, fmt.Errorf("%s: is neither a .rego file nor %s", name, dataFile)
		case len(b) > maxModuleSize:
			return nil, fmt.Errorf("%s: is longer than %d bytes", name, maxModuleSize)
		case len(s.Modules) == maxModules:
			return nil, fmt.Errorf("there are more than %d .rego files", maxModules)
		default:
			s.Modules[name] = bytes.Clone(b)
		}
	}
	if len(s.Modules) == 0 || s.Data == nil {
		return nil, fmt.Errorf("it has no .rego file, or no %s", dataFile)
	}
	return s, nil
}

// WithData returns the same modules with the data of a file.
func (s *Source) WithData(dataPath string) (*Source, error) {
	b, err := readBounded(func() (fs.File, error) { return os.Open(dataPath) }, maxDataSize)
	if err != nil {
		return nil, fmt.Errorf("read the policy's data: %w", err)
	}
	return &Source{Modules: s.Modules, DataName: dataPath, Data: b}, nil
}

func (s *Source) readModule(modules fs.FS, name string) error {
	if len(s.Modules) == maxModules {
		return fmt.Errorf("there are more than %d .rego files", maxModules)
	}
	b, err := readBounded(func() (fs.File, error) { return modules.Open(name) }, maxModuleSize)
	if err != nil {
		return err
	}
	s.Modules[name] = b
	return nil
}

func readBounded(open func() (fs.File, error), limit int64) ([]byte, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("a file is longer than %d bytes", limit)
	}
	return b, nil
}

// revision is hex SHA-256 over the modules' paths and bytes and the data as Rego sees it (docs/FORMATS.md, "policy").
func (s *Source) revision(data *Data) string {
	var modules []byte
	for _, name := range sortedKeys(s.Modules) {
		sum := sha256.Sum256(wire.SigningBytes("policy-module", []byte(name), s.Modules[name]))
		modules = append(modules, sum[:]...)
	}
	sum := sha256.Sum256(wire.SigningBytes("policy-revision", modules, data.canonical))
	return hex.EncodeToString(sum[:])
}

// clone shares no memory with s, so that an engine does not change when its source does.
func (s *Source) clone() *Source {
	c := &Source{Modules: make(map[string][]byte, len(s.Modules)), DataName: s.DataName, Data: bytes.Clone(s.Data)}
	for name, b := range s.Modules {
		c.Modules[name] = bytes.Clone(b)
	}
	return c
}

func isTest(name string) bool { return strings.HasSuffix(name, testSuffix) }
