// Package conffile reads the TOML configuration file of a process strictly: a key that the process does not know is an
// error that names the nearest known one, so that a misspelt limit is never silently no limit. It holds no settings itself.
package conffile

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// maxSize bounds a configuration file, in bytes.
const maxSize = 1 << 20

// Load reads the file at path into cfg, a pointer to a struct with toml tags that holds the defaults already. All unknown
// keys are reported at once.
func Load(path string, cfg any) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxSize {
		return fmt.Errorf("read configuration %s: it has %d bytes, at most %d are read", path, info.Size(), maxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := Parse(data, cfg); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	return nil
}

// Parse is Load over bytes.
func Parse(data []byte, cfg any) error {
	meta, err := toml.Decode(string(data), cfg)
	if err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return fmt.Errorf("line %d: %s", syntax.Position.Line, syntax.Message)
		}
		return err
	}
	var problems []string
	known := keysOf(reflect.TypeOf(cfg), "")
	for _, key := range meta.Undecoded() {
		if coveredBy(key.String(), problems) {
			continue
		}
		text := fmt.Sprintf("unknown key %q", key.String())
		if near := nearest(key.String(), known); near != "" {
			text += fmt.Sprintf(": did you mean %q?", near)
		}
		problems = append(problems, text)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// coveredBy tells whether a table of which this key is a part has been reported already.
func coveredBy(key string, problems []string) bool {
	return slices.ContainsFunc(problems, func(p string) bool {
		rest, _ := strings.CutPrefix(p, `unknown key "`)
		table, _, _ := strings.Cut(rest, `"`)
		return strings.HasPrefix(key, table+".")
	})
}

// keysOf lists the dotted keys of a configuration struct.
func keysOf(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		keys = append(keys, prefix+name)
		keys = append(keys, keysOf(field.Type, prefix+name+".")...)
	}
	return keys
}

// nearest finds the known key that a misspelt one is most likely to mean; none if all are far from it.
func nearest(key string, known []string) string {
	best, bestDistance := "", len(key)/3+2
	for _, k := range known {
		if d := distance(key, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Relative resolves a path in a configuration file: a relative one is meant from the folder of that file. An empty path
// stays empty.
func Relative(configPath, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(configPath), path)
}

// Duration is a length of time, written as "1s", "500ms" or "1h30m".
type Duration time.Duration

// UnmarshalText reads the form of time.ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration such as \"1s\" or \"10m\"", text)
	}
	*d = Duration(v)
	return nil
}

// Loopback checks that an address is host:port with a host that only this machine reaches, for interfaces without a login.
func Loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not a loopback address: it has no protection on the network; reach it from elsewhere through an SSH tunnel", address)
	}
	return nil
}
