package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/logging"
	"github.com/countersign-mpc/countersign/mpcapi"
)

// config is coordinator.toml; deploy/coordinator.toml explains every key.
type config struct {
	Name             string         `toml:"name"`
	Listen           string         `toml:"listen"`
	MonitoringListen string         `toml:"monitoring-listen"`
	PublicNames      []string       `toml:"public-names"`
	AddressFile      string         `toml:"address-file"`
	DBPath           string         `toml:"db-path"`
	Requests         requestsConfig `toml:"requests"`
	Limits           limitsConfig   `toml:"limits"`
	Log              struct {
		Level  string `toml:"level"`
		Format string `toml:"format"`
	} `toml:"log"`
	APIKey []apiKeyConfig `toml:"api-key"`
}

type requestsConfig struct {
	Life            conffile.Duration `toml:"life"`
	SessionTime     conffile.Duration `toml:"session-time"`
	MaxSessions     int               `toml:"max-sessions"`
	RetryDelay      conffile.Duration `toml:"retry-delay"`
	DisconnectGrace conffile.Duration `toml:"disconnect-grace"`
}

type limitsConfig struct {
	OpenRequests  int `toml:"open-requests"`
	BoundNodes    int `toml:"bound-nodes"`
	MailboxFrames int `toml:"mailbox-frames"`
	MailboxBytes  int `toml:"mailbox-bytes"`
	Waiters       int `toml:"waiters"`
}

type apiKeyConfig struct {
	Account string `toml:"account"`
	KeyPath string `toml:"key-path"`
}

// configError is errConfig with a text of its own.
type configError struct{ error }

func (e *configError) Is(target error) bool { return target == errConfig }
func (e *configError) Unwrap() error        { return e.error }

// defaults are what holds where the file says nothing.
func defaults() config {
	c := config{
		Name: "coordinator", Listen: "127.0.0.1:8080", MonitoringListen: "127.0.0.1:9101", DBPath: "coordinator.db",
		Requests: requestsConfig{
			Life: conffile.Duration(coordinator.DefaultRequestLife), SessionTime: conffile.Duration(coordinator.DefaultSessionTime), MaxSessions: coordinator.DefaultMaxSessions,
			RetryDelay: conffile.Duration(coordinator.DefaultRetryDelay), DisconnectGrace: conffile.Duration(coordinator.DefaultDisconnectGrace),
		},
		Limits: limitsConfig{
			OpenRequests: coordinator.DefaultOpenRequests, BoundNodes: coordinator.DefaultBoundNodes, MailboxFrames: coordinator.DefaultMailboxFrames,
			MailboxBytes: coordinator.DefaultMailboxBytes, Waiters: coordinator.DefaultWaiters,
		},
	}
	c.Log.Level, c.Log.Format = "info", "text"
	return c
}

// loadConfig reads and checks a configuration; all problems are told at once. Key files are read by keys.
func loadConfig(path string) (*config, error) {
	c := defaults()
	if err := conffile.Load(path, &c, c.validate); err != nil {
		return nil, &configError{err}
	}
	for _, p := range []*string{&c.AddressFile, &c.DBPath} {
		*p = conffile.Relative(path, *p)
	}
	for i := range c.APIKey {
		c.APIKey[i].KeyPath = conffile.Relative(path, c.APIKey[i].KeyPath)
	}
	return &c, nil
}

func (c *config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	for key, address := range map[string]string{"listen": c.Listen, "monitoring-listen": c.MonitoringListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			problem("%s is %q: host:port is needed, such as \"127.0.0.1:8080\"", key, address)
		}
	}
	if conffile.Loopback(c.Listen) != nil && len(c.PublicNames) == 0 {
		problem("public-names is needed where listen (%q) is not loopback: the host or host:port that nodes have as their coordinator's address", c.Listen)
	}
	if c.DBPath == "" || c.Name == "" {
		problem("db-path and name must not be empty")
	}
	if err := c.limits().Validate(); err != nil {
		problem("[requests] and [limits]: %v", err)
	}
	if c.Requests.RetryDelay <= 0 || c.Requests.DisconnectGrace <= 0 {
		problem("requests.retry-delay and requests.disconnect-grace must be positive")
	}
	if err := logging.Check(c.Log.Level, c.Log.Format); err != nil {
		problems = append(problems, err)
	}
	for i, k := range c.APIKey {
		if k.Account == "" || k.KeyPath == "" {
			problem("api-key number %d needs an account and a key-path", i+1)
		}
	}
	return errors.Join(problems...)
}

func (c *config) limits() coordinator.Limits {
	return coordinator.Limits{
		RequestLife: time.Duration(c.Requests.Life), SessionTime: time.Duration(c.Requests.SessionTime), MaxSessions: c.Requests.MaxSessions,
		RetryDelay: time.Duration(c.Requests.RetryDelay), DisconnectGrace: time.Duration(c.Requests.DisconnectGrace),
		OpenRequests: c.Limits.OpenRequests, BoundNodes: c.Limits.BoundNodes, MailboxFrames: c.Limits.MailboxFrames,
		MailboxBytes: c.Limits.MailboxBytes, Waiters: c.Limits.Waiters,
	}
}

// keys reads the API keys. Files that are not there are named in missing: their accounts cannot call until a restart.
func (c *config) keys() (keys []mpcapi.APIKey, missing []string, err error) {
	for _, k := range c.APIKey {
		data, err := readPrivate(k.KeyPath)
		if errors.Is(err, os.ErrNotExist) {
			missing = append(missing, k.KeyPath)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: API key of account %s: %w", errConfig, k.Account, err)
		}
		key, err := mpcapi.NewAPIKey(k.Account, data)
		clear(data)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %s: %w", errConfig, k.KeyPath, err)
		}
		keys = append(keys, key)
	}
	return keys, missing, nil
}

const maxKeyFile = 4 << 10

// readPrivate reads a small file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("%s has %d bytes: it is no API key", path, info.Size())
	}
	return os.ReadFile(path)
}

func (o *options) checkConfig() *cobra.Command {
	return &cobra.Command{
		Use: "check-config", Short: "Check the configuration and the API keys, and say everything that is wrong",
		Long:    "Check the configuration file and every API key that it names. Nothing is made or changed; the coordinator may be running.",
		Example: "  coordinator check-config --config coordinator.toml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(o.config)
			if err != nil {
				return err
			}
			keys, missing, err := c.keys()
			if err != nil {
				return err
			}
			if len(missing) > 0 {
				return fmt.Errorf("%w: API key files that are not there: %q: make them by `coordinator new-api-key`", errConfig, missing)
			}
			fmt.Fprintf(o.out, "%s: in order, %d API keys\n", o.config, len(keys))
			return nil
		},
	}
}

func (o *options) newAPIKey() *cobra.Command {
	return &cobra.Command{
		Use: "new-api-key FILE", Short: "Make an API key of 256 random bits in a new file that only you can read",
		Example: "  coordinator new-api-key keys/api.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if err := os.MkdirAll(filepath.Dir(args[0]), 0o700); err != nil {
				return fmt.Errorf("make API key: %w", err)
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("make API key: %w", err)
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			key := make([]byte, 32)
			defer clear(key)
			_, _ = rand.Read(key) // cannot fail: the process is stopped if the system has no randomness
			if _, err := f.WriteString(base64.RawURLEncoding.EncodeToString(key) + "\n"); err != nil {
				return fmt.Errorf("make API key: %w", err)
			}
			fmt.Fprintf(o.out, "%s: made; give it to the account's clients, and name it as key-path of an [[api-key]]\n", args[0])
			return nil
		},
	}
}
