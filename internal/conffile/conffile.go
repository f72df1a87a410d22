// Package conffile reads the TOML configuration file of a process strictly: a key that the process does not know is an
// error that names the nearest known one, so that a misspelt limit is never silently no limit. Everything that is wrong is
// told at once. It holds no settings itself.
package conffile

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/BurntSushi/toml"
)

// maxSize bounds a configuration file, in bytes.
const maxSize = 1 << 20

// Load reads the file at path into cfg, a pointer to a struct with toml tags that holds the defaults already, and then
// calls check, which says what is wrong with the values; nil: nothing is checked. All unknown keys, values of a wrong type
// and problems of check are in one error, on a line each; a setting whose value cannot be read has its default in check.
// Only a file that cannot be read, or is no TOML, keeps check from being called.
func Load(path string, cfg any, check func() error) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if info.Size() > maxSize {
		return fmt.Errorf("configuration %s: it has %d bytes, at most %d are read", path, info.Size(), maxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := Parse(data, cfg, check); err != nil {
		return fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return nil
}

// Parse is Load over bytes.
func Parse(data []byte, cfg any, check func() error) error {
	file := map[string]toml.Primitive{}
	meta, err := toml.Decode(string(data), &file)
	if err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return fmt.Errorf("  line %d: %s", syntax.Position.Line, syntax.Message)
		}
		return fmt.Errorf("  %w", err)
	}
	d := decoder{meta: &meta, known: keysOf(reflect.TypeOf(cfg), "")}
	d.table(file, reflect.ValueOf(cfg), "")
	if check != nil {
		d.problems = append(d.problems, check())
	}
	return errors.Join(d.problems...)
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
