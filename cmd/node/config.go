package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/keystore/segment"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
)

// config is config.toml: the guide's keys, and this project's. Relative paths are meant from the file's folder.
type config struct {
	App struct {
		Name        string   `toml:"name"`
		PartyID     string   `toml:"party-id"`
		AccountType string   `toml:"account-type"`
		EVMChains   []string `toml:"evm-chains"`
	} `toml:"app"`
	Log struct {
		Stdout logConfig `toml:"stdout"`
		File   logConfig `toml:"file"`
	} `toml:"log"`
	Storage struct {
		Engine              string   `toml:"engine"`
		T                   int      `toml:"t"`
		N                   int      `toml:"n"`
		SegmentsPath        string   `toml:"segments-path"`
		Path                string   `toml:"db-file-path"`
		WorkDir             string   `toml:"work-dir"`
		UnsealServerAddress string   `toml:"unseal-server-address"`
		UnsealServerNames   []string `toml:"unseal-server-names"`
		// AutoUnseal is a key in a PKCS #11 token.
		AutoUnseal autoUnsealConfig `toml:"auto-unseal"`
	} `toml:"storage"`
	Service struct {
		Protocol string `toml:"protocol"`
		Address  string `toml:"address"`
		Path     string `toml:"path"`
		// TLS, with protocol wss.
		CAPath     string `toml:"ca-path"`
		ClientCert string `toml:"client-cert-path"`
		ClientKey  string `toml:"client-key-path"`
	} `toml:"mpc-service"`
	Encrypt struct {
		Enable        bool   `toml:"enable"`
		PublicKeyPath string `toml:"public-key-path"`
	} `toml:"encrypt-signature"`
	Callback struct {
		Required             bool   `toml:"required"`
		Mode                 string `toml:"mode"`
		RetryTimes           int    `toml:"retry-times"`
		SleepSeconds         int    `toml:"sleep-seconds"`
		TimeoutSeconds       int    `toml:"timeout-seconds"`
		AllowUnguardedQuorum bool   `toml:"allow-unguarded-quorum"`
		Server               []struct {
			Address       string `toml:"address"`
			PublicKeyPath string `toml:"public-key-path"`
			Outcome       bool   `toml:"outcome"`
			RawdataAck    string `toml:"rawdata-ack"`
			CAPath        string `toml:"ca-path"`
			ClientCert    string `toml:"client-cert-path"`
			ClientKey     string `toml:"client-key-path"`
		} `toml:"server"`
	} `toml:"callback"`
	Parties struct {
		PartyIDs     []string `toml:"party-ids"`
		PartyIDsPath string   `toml:"party-ids-path"`
	} `toml:"parties"`
	Authorization struct {
		Required       bool     `toml:"required"`
		PublicKeyPaths []string `toml:"public-key-paths"`
		Coordinators   []string `toml:"coordinators"`
	} `toml:"authorization"`
	Monitoring struct {
		Address string `toml:"address"`
	} `toml:"monitoring"`
	Backup struct {
		Directory  string `toml:"directory"`
		EveryHours int    `toml:"every-hours"`
		Keep       int    `toml:"keep"`
	} `toml:"backup"`
	AdminTLS adminTLS `toml:"admin-tls"`
	Limits   struct {
		Requests     int `toml:"requests"`
		Sessions     int `toml:"sessions"`
		Parallel     int `toml:"parallel"`
		GraceSeconds int `toml:"grace-seconds"`
	} `toml:"limits"`
	AddressFile string `toml:"address-file"`

	read bool // the file could be read, and is TOML
}

type logConfig struct {
	Enable bool   `toml:"enable"`
	Level  int    `toml:"level"`
	Path   string `toml:"path"`
}

// defaults are what holds where config.toml says nothing. callback.required and authorization.required have the guide's
// meaning there: off, with a warning.
func defaults() config {
	var c config
	c.App.Name, c.App.PartyID, c.App.AccountType = "mpc-node", "a", "2"
	c.App.EVMChains = []string{"ETH"}
	c.Log.Stdout = logConfig{Enable: true, Level: 4}
	c.Storage.Engine, c.Storage.T, c.Storage.N, c.Storage.Path = engineBolt, 1, 1, "asset.db"
	c.Storage.WorkDir, c.Storage.AutoUnseal.TimeoutSeconds = "/run/mpc-node", int(node.DefaultAutoWait/time.Second)
	c.Storage.SegmentsPath, c.Backup.Directory = "segments.json", "backups"
	c.Storage.UnsealServerAddress = "127.0.0.1:10080"
	c.Service.Protocol, c.Service.Address, c.Service.Path = "ws", "127.0.0.1:8080", "/proxy"
	c.Callback.Mode, c.Callback.RetryTimes, c.Callback.SleepSeconds, c.Callback.TimeoutSeconds = string(asking.ModeAll), 60, 60, 30
	c.Monitoring.Address = "127.0.0.1:9102"
	c.Limits.Requests, c.Limits.Sessions, c.Limits.GraceSeconds = node.DefaultRequests, node.DefaultSessions, 30
	return c
}

// loadConfig reads and checks the configuration of the flags.
func (o *options) loadConfig() (config, error) { return loadConfig(o.config, o.behindDocker) }

// loadConfig reads and checks a configuration; all problems are told at once.
func loadConfig(path string, behindDocker bool) (config, error) {
	c := defaults()
	err := conffile.Load(path, &c, func() error {
		c.read = true
		return c.validate(behindDocker)
	})
	for _, p := range c.paths() {
		*p = conffile.Relative(path, *p)
	}
	return c, err
}

// paths are the settings that name files.
func (c *config) paths() []*string {
	out := []*string{&c.Storage.Path, &c.Storage.SegmentsPath, &c.Storage.AutoUnseal.PINPath, &c.Backup.Directory, &c.Encrypt.PublicKeyPath, &c.Parties.PartyIDsPath, &c.Service.CAPath,
		&c.Service.ClientCert, &c.Service.ClientKey, &c.Log.File.Path, &c.AddressFile, &c.AdminTLS.Cert, &c.AdminTLS.Key, &c.AdminTLS.ClientCA,
		&c.AdminTLS.CA, &c.AdminTLS.ClientCert, &c.AdminTLS.ClientKey}
	for i := range c.Callback.Server {
		s := &c.Callback.Server[i]
		out = append(out, &s.PublicKeyPath, &s.CAPath, &s.ClientCert, &s.ClientKey)
	}
	for i := range c.Authorization.PublicKeyPaths {
		out = append(out, &c.Authorization.PublicKeyPaths[i])
	}
	return out
}

func (c *config) validate(behindDocker bool) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	if c.Storage.Engine != engineBolt && c.Storage.Engine != engineSGX {
		problem("storage.engine is %q: \"bolt\" (a sealed file) or \"sgx\" (a sealed text file, in an enclave) is needed", c.Storage.Engine)
	}
	if c.Storage.Path == "" {
		problem("storage.db-file-path is missing: the store has to be somewhere")
	}
	if c.Storage.Engine == engineSGX && !filepath.IsAbs(c.Storage.WorkDir) {
		problem("storage.work-dir is %q: engine \"sgx\" needs the absolute path of a folder in the enclave's memory", c.Storage.WorkDir)
	}
	if c.Storage.T != 1 {
		if err := segment.CheckNumbers(c.Storage.T, c.Storage.N); err != nil {
			problem("storage.t and storage.n: %v; t = 1 means one password", err)
		}
		if c.Storage.SegmentsPath == "" {
			problem("storage.segments-path is missing: `mpc-node password generate` makes that file")
		}
	}
	if err := c.Storage.AutoUnseal.validate(); err != nil {
		problems = append(problems, err)
	}
	c.sides(problem, behindDocker)
	if c.Limits.Requests < 1 || c.Limits.Requests > maxLimit || c.Limits.Sessions < 1 || c.Limits.Sessions > maxLimit {
		problem("limits.requests and limits.sessions must be 1 to %d", maxLimit)
	}
	if c.Limits.Parallel < 0 || c.Limits.Parallel > maxLimit {
		problem("limits.parallel is %d: 1 to %d is needed, or 0 for as many as there are CPUs", c.Limits.Parallel, maxLimit)
	}
	if c.Limits.GraceSeconds < 0 || c.Limits.GraceSeconds > maxGrace {
		problem("limits.grace-seconds is %d: 0 to %d is needed, as systemd, Docker and node.sh kill a node 60 s after they stop it", c.Limits.GraceSeconds, maxGrace)
	}
	c.addresses(problem)
	for _, l := range []struct {
		key string
		log logConfig
	}{{"log.stdout", c.Log.Stdout}, {"log.file", c.Log.File}} {
		if l.log.Enable && (l.log.Level < 0 || l.log.Level > 6) {
			problem("%s.level is %d: 0 (panic) to 6 (trace) is needed", l.key, l.log.Level)
		}
	}
	if c.Log.File.Enable && c.Log.File.Path == "" {
		problem("log.file.path is missing")
	}
	if slices.Contains(c.App.EVMChains, "") {
		problem("app.evm-chains has an empty name: values of tx_info.chainSymbol are needed")
	}
	if c.Encrypt.Enable && c.Encrypt.PublicKeyPath == "" {
		problem("encrypt-signature.public-key-path is missing")
	}
	if c.Callback.Mode != string(asking.ModeAll) && c.Callback.Mode != string(asking.ModeFirst) {
		problem("callback.mode is %q: \"all\" or \"first\" is needed", c.Callback.Mode)
	}
	if c.Callback.RetryTimes < 0 || c.Callback.SleepSeconds < 1 {
		problem("callback.retry-times must be 0 or more and callback.sleep-seconds 1 or more")
	}
	if c.Callback.TimeoutSeconds < 1 || c.Callback.TimeoutSeconds > 600 {
		problem("callback.timeout-seconds is %d: 1 to 600 is needed", c.Callback.TimeoutSeconds)
	}
	c.callbackServers(problem)
	if c.Service.Protocol != "wss" && (len(c.Authorization.Coordinators) > 0 || c.Service.CAPath+c.Service.ClientCert+c.Service.ClientKey != "") {
		problem("authorization.coordinators and the TLS files of mpc-service (ca-path, client-cert-path, client-key-path) need mpc-service.protocol \"wss\"")
	}
	if _, err := node.CoordinatorKeys(c.Authorization.Coordinators); err != nil {
		problem("%v", err)
	}
	if c.Authorization.Required && len(c.Authorization.PublicKeyPaths) == 0 {
		problem("authorization.required is true and authorization.public-key-paths is empty: no request could ever be taken")
	}
	if c.Backup.EveryHours < 0 || c.Backup.Keep < 0 {
		problem("backup.every-hours and backup.keep must be 0 or more")
	}
	if c.Backup.EveryHours > 0 && c.Backup.Directory == "" {
		problem("backup.directory is missing, and backup.every-hours is %d", c.Backup.EveryHours)
	}
	return errors.Join(problems...)
}

// maxGrace bounds limits.grace-seconds: the last sessions' reports and the end of the node (closeTime) take up to 13 s more, and
// what deploy has kills after 60.
const maxGrace = 45

// maxLimit bounds limits.requests, limits.sessions and limits.parallel.
const maxLimit = 10000

// The values of rawdata-ack: whether a server's acknowledgements of signature reports are signed.
const (
	ackSigned   = "signed"
	ackUnsigned = "unsigned"
)

func (c *config) settings() *node.FileSettings {
	s := &node.FileSettings{
		PartyIDs: c.Parties.PartyIDs, PartyIDsPath: c.Parties.PartyIDsPath,
		RequesterKeyPaths: c.Authorization.PublicKeyPaths, RequesterRequired: c.Authorization.Required,
		CoordinatorKeys: c.Authorization.Coordinators,
		CoordinatorTLS:  asking.TLSFiles{CA: c.Service.CAPath, Certificate: c.Service.ClientCert, Key: c.Service.ClientKey},

		CallbackRequired: c.Callback.Required, CallbackMode: asking.Mode(c.Callback.Mode), RetryTimes: c.Callback.RetryTimes,
		Sleep:   time.Duration(c.Callback.SleepSeconds) * time.Second,
		Timeout: time.Duration(c.Callback.TimeoutSeconds) * time.Second, UnguardedQuorum: c.Callback.AllowUnguardedQuorum, EVMChains: c.App.EVMChains,
	}
	for _, server := range c.Callback.Server {
		s.CallbackServers = append(s.CallbackServers, node.CallbackServer{
			Address: server.Address, PublicKeyPath: server.PublicKeyPath, Outcome: server.Outcome, UnsignedAck: server.RawdataAck == ackUnsigned,
			TLS: asking.TLSFiles{CA: server.CAPath, Certificate: server.ClientCert, Key: server.ClientKey},
		})
	}
	if c.Encrypt.Enable {
		s.EncryptPublicKeyPath = c.Encrypt.PublicKeyPath
	}
	return s
}

func (c *config) linkURL() string {
	return c.Service.Protocol + "://" + c.Service.Address + c.Service.Path
}

func defaultConfigPath() string { return filepath.Join(".", "config.toml") }
