package main

import (
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/logging"
	"github.com/countersign-mpc/countersign/policy"
	pgstore "github.com/countersign-mpc/countersign/postgres/ledgerstore"
	"github.com/countersign-mpc/countersign/wire"
)

// config is callback.toml; deploy/callback.toml explains every key. Relative paths are meant from the file's folder.
type config struct {
	Listen         string           `toml:"listen"`
	AdminListen    string           `toml:"admin-listen"`
	AddressFile    string           `toml:"address-file"`
	AdminTokenPath string           `toml:"admin-token-path"`
	DBPath         string           `toml:"db-path"`
	ActionStyle    string           `toml:"action-style"`
	BodyLimit      int64            `toml:"body-limit"`
	RateLimit      float64          `toml:"rate-limit"`
	MaxConcurrent  int              `toml:"max-concurrent"`
	TLS            tlsConfig        `toml:"tls"`
	AdminTLS       tlsConfig        `toml:"admin-tls"`
	Operator       []operatorConfig `toml:"operator"`
	AuditLog       struct {
		Origin          string            `toml:"origin"`
		KeyPath         string            `toml:"key-path"`
		Keep            conffile.Duration `toml:"keep"`
		CheckpointEvery conffile.Duration `toml:"checkpoint-every"`
		Witness         []witnessConfig   `toml:"witness"`
	} `toml:"audit-log"`
	Postgres struct {
		URLPath string `toml:"url-path"`
		Schema  string `toml:"schema"`
	} `toml:"postgres"`
	Policy struct {
		Source   string `toml:"source"`
		Dir      string `toml:"dir"`
		DataPath string `toml:"data-path"`
		// Bundle is a policy in one file, in place of Dir and DataPath.
		Bundle          string            `toml:"bundle"`
		BundleKeyPaths  []string          `toml:"bundle-key-paths"`
		BundleFloorPath string            `toml:"bundle-floor-path"`
		Timeout         conffile.Duration `toml:"timeout"`
		Shadow          shadowConfig      `toml:"shadow"`
	} `toml:"policy"`
	Evidence struct {
		ABIDir string `toml:"abi-dir"`
	} `toml:"evidence"`
	Log struct {
		Level  string `toml:"level"`
		Format string `toml:"format"`
	} `toml:"log"`
	Results struct {
		KeyPath string `toml:"key-path"`
	} `toml:"results"`
	Node []nodeConfig `toml:"node"`
	Key  []keyConfig  `toml:"key"`
}

// keyConfig is a key whose chain code is known; both in hex.
type keyConfig struct {
	PublicKey string `toml:"public-key"`
	ChainCode string `toml:"chain-code"`
}

type nodeConfig struct {
	Name                  string `toml:"name"`
	PublicKeyPath         string `toml:"public-key-path"`
	NodeID                string `toml:"node-id"`
	ReplyKeyPath          string `toml:"reply-key-path"`
	DecryptKeyPath        string `toml:"decrypt-key-path"`
	ClientCertificatePath string `toml:"client-certificate-path"`
}

// defaults are what holds where the file says nothing.
func defaults() config {
	var c config
	c.Listen, c.AdminListen = "127.0.0.1:9090", "127.0.0.1:9091"
	c.AdminTokenPath, c.DBPath, c.Results.KeyPath = "admin.token", "callback.db", "result.key"
	c.ActionStyle = string(wire.StyleTitle)
	c.BodyLimit, c.RateLimit, c.MaxConcurrent = callback.DefaultBodyLimit, callback.DefaultRateLimit, callback.DefaultMaxConcurrent
	c.AuditLog.Origin = "countersign/callback"
	c.AuditLog.CheckpointEvery = conffile.Duration(callback.DefaultCheckpointEvery)
	c.Postgres.Schema = pgstore.DefaultSchema
	c.Policy.BundleFloorPath = "policy-bundle.json"
	c.Policy.Timeout = conffile.Duration(policy.DefaultTimeout)
	c.Log.Level, c.Log.Format = "info", "text"
	return c
}

// loadConfig reads and checks a configuration; all problems are told at once. Key files are read by nodes.
func loadConfig(path string) (*config, error) {
	c := defaults()
	if err := conffile.Load(path, &c, c.validate); err != nil {
		return nil, refused(err)
	}
	for _, p := range c.paths() {
		*p = conffile.Relative(path, *p)
	}
	return &c, nil
}

// paths are the settings that name files.
func (c *config) paths() []*string {
	out := []*string{&c.AddressFile, &c.AdminTokenPath, &c.DBPath, &c.Postgres.URLPath, &c.Results.KeyPath, &c.AuditLog.KeyPath, &c.Policy.Dir, &c.Policy.DataPath, &c.Policy.Shadow.Dir, &c.Policy.Shadow.DataPath, &c.Evidence.ABIDir}
	out = append(out, c.outsidePaths()...)
	out = append(out, c.upkeepPaths()...)
	out = append(out, &c.Policy.Bundle, &c.Policy.BundleFloorPath)
	for i := range c.Policy.BundleKeyPaths {
		out = append(out, &c.Policy.BundleKeyPaths[i])
	}
	for i := range c.Node {
		n := &c.Node[i]
		out = append(out, &n.PublicKeyPath, &n.ReplyKeyPath, &n.DecryptKeyPath)
	}
	return out
}

func (c *config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		problem("listen is %q: host:port is needed, such as \"127.0.0.1:9090\"", c.Listen)
	}
	problems = append(problems, c.checkOutside(), c.checkUpkeep(), c.checkBundle())
	if c.AdminTokenPath == "" || c.DBPath == "" || c.Results.KeyPath == "" {
		problem("admin-token-path, db-path and results.key-path must not be empty")
	}
	if _, err := wire.ParseActionStyle(c.ActionStyle); err != nil {
		problem("%v", err)
	}
	if c.BodyLimit < 1 || c.BodyLimit > callback.MaxBodyLimit {
		problem("body-limit is %d: 1 to %d bytes are possible", c.BodyLimit, callback.MaxBodyLimit)
	}
	if math.IsNaN(c.RateLimit) || math.IsInf(c.RateLimit, 0) || c.RateLimit < 0 {
		problem("rate-limit is %v: a number of requests a second is needed, or 0 for no limit", c.RateLimit)
	}
	switch source := callback.PolicySource(c.Policy.Source); {
	case source != "" && source != callback.PolicyFiles && source != callback.PolicyActivated:
		problem("policy.source is %q: %q and %q are possible", c.Policy.Source, callback.PolicyFiles, callback.PolicyActivated)
	case source == callback.PolicyFiles && c.Postgres.URLPath != "":
		problem("policy.source is %q with a database: several servers, each with files of its own, cannot be held to one policy; leave it out, or say %q", c.Policy.Source, callback.PolicyActivated)
	}
	if c.Policy.Timeout <= 0 {
		problem("policy.timeout is %v: it has to be positive", time.Duration(c.Policy.Timeout))
	}
	if err := logging.Check(c.Log.Level, c.Log.Format); err != nil {
		problems = append(problems, err)
	}
	for i, n := range c.Node {
		if (n.PublicKeyPath == "") == (n.NodeID == "") {
			problem("node number %d (%s) needs either public-key-path or node-id", i+1, n.Name)
		}
		if n.Name == "" || n.ReplyKeyPath == "" {
			problem("node number %d (%s) needs a name and a reply-key-path", i+1, n.Name)
		}
	}
	if _, err := c.keys(); err != nil {
		problem("%v", err)
	}
	return errors.Join(problems...)
}

// keys are the [[key]] entries.
func (c *config) keys() (*callback.Keys, error) {
	var problems []error
	var list []callback.Key
	for i, k := range c.Key {
		public, publicErr := hex.DecodeString(k.PublicKey)
		chainCode, codeErr := hex.DecodeString(k.ChainCode)
		if publicErr != nil || codeErr != nil {
			problems = append(problems, fmt.Errorf("key number %d: public-key and chain-code are hex, as GET /api/v1/keys/{id} of the coordinator shows them", i+1))
			continue
		}
		list = append(list, callback.Key{PublicKey: public, ChainCode: chainCode})
	}
	keys, err := callback.NewKeys(list)
	return keys, errors.Join(append(problems, err)...)
}

// known are the [[key]] entries and the contracts of evidence.abi-dir.
func (c *config) known() (*callback.Keys, error) {
	keys, err := c.keys()
	if err != nil || c.Evidence.ABIDir == "" {
		return keys, err
	}
	abis, err := evidence.LoadABIs(os.DirFS(c.Evidence.ABIDir))
	if err != nil {
		return nil, fmt.Errorf("evidence.abi-dir %s: %w", c.Evidence.ABIDir, err)
	}
	return keys.WithABIs(abis), nil
}

// nodes reads the nodes' keys and checks them against each other.
func (c *config) nodes() ([]callback.Node, error) {
	var problems []error
	nodes := make([]callback.Node, 0, len(c.Node))
	for _, n := range c.Node {
		loaded, err := n.load()
		if err != nil {
			problems = append(problems, fmt.Errorf("node %s: %w", n.Name, err))
			continue
		}
		nodes = append(nodes, loaded)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, refused(err)
	}
	return nodes, refused(callback.CheckNodes(nodes))
}

func (n *nodeConfig) load() (callback.Node, error) {
	out := callback.Node{Name: n.Name}
	var err error
	if n.NodeID != "" {
		out.PublicKey, err = wire.NodeID(n.NodeID).PublicKey()
	} else {
		out.PublicKey, err = wire.LoadPublicKey(n.PublicKeyPath)
	}
	if err != nil {
		return out, err
	}
	if out.ReplyKey, err = loadPrivateKey(n.ReplyKeyPath); err != nil {
		return out, err
	}
	if out.ClientCertificate, err = n.clientCertificate(); err != nil {
		return out, err
	}
	if n.DecryptKeyPath != "" {
		out.DecryptKey, err = loadPrivateKey(n.DecryptKeyPath)
	}
	return out, err
}

// loadPrivateKey reads a private key from a file that nobody else may read.
func loadPrivateKey(path string) (*ecdsa.PrivateKey, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	return wire.LoadPrivateKey(path)
}

// private refuses a file that others may read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return refused(fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm()))
	}
	return nil
}

// policySource is the setting, or what holds where there is none: the files of one server, or what all servers were given.
func (c *config) policySource() callback.PolicySource {
	switch {
	case c.Policy.Source != "":
		return callback.PolicySource(c.Policy.Source)
	case c.Postgres.URLPath != "":
		return callback.PolicyActivated
	}
	return callback.PolicyFiles
}

// logKey is the configured key of the audit log, made where there is none yet; nil where the ledger keeps one itself.
func (c *config) logKey() (*auditlog.Key, error) {
	if c.AuditLog.KeyPath == "" {
		return nil, nil
	}
	return auditlog.OpenKey(c.AuditLog.KeyPath, c.AuditLog.Origin)
}

// logPublic is the public half of the configured key of the audit log; "" where the ledger keeps one.
func (c *config) logPublic() (string, error) {
	if c.AuditLog.KeyPath == "" {
		return "", nil
	}
	if _, err := os.Stat(c.AuditLog.KeyPath); err != nil { // opening would make a new one
		return "", fmt.Errorf("the audit log's key: %w", err)
	}
	key, err := c.logKey()
	if err != nil {
		return "", err
	}
	return key.Public(), nil
}

// checkMade checks the files that serve makes at its first start, if they are there already.
func (c *config) checkMade() error {
	var problems []error
	if _, err := os.Lstat(c.AdminTokenPath); err == nil {
		token, err := readToken(c.AdminTokenPath)
		token.Wipe()
		problems = append(problems, err)
	}
	if _, err := os.Lstat(c.Results.KeyPath); err == nil {
		_, err := readResultKey(c.Results.KeyPath)
		problems = append(problems, err)
	}
	if c.AuditLog.KeyPath != "" {
		if _, err := os.Lstat(c.AuditLog.KeyPath); err == nil {
			_, err := c.logKey()
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// maxConcurrent is the setting as package callback wants it.
func (c *config) maxConcurrent() int {
	if c.MaxConcurrent == 0 {
		return -1 // no limit
	}
	return c.MaxConcurrent
}

// rateLimit is the setting as package callback wants it.
func (c *config) rateLimit() float64 {
	if c.RateLimit == 0 {
		return -1 // no limit
	}
	return c.RateLimit
}
