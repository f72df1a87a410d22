package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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
		UnsealServerAddress string   `toml:"unseal-server-address"`
		UnsealServerNames   []string `toml:"unseal-server-names"`
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
	AddressFile string `toml:"address-file"`
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
	c.Storage.Engine, c.Storage.T, c.Storage.N, c.Storage.Path = "bolt", 1, 1, "asset.db"
	c.Storage.SegmentsPath, c.Backup.Directory = "segments.json", "backups"
	c.Storage.UnsealServerAddress = "127.0.0.1:10080"
	c.Service.Protocol, c.Service.Address, c.Service.Path = "ws", "127.0.0.1:8080", "/proxy"
	c.Callback.Mode, c.Callback.RetryTimes, c.Callback.SleepSeconds, c.Callback.TimeoutSeconds = string(asking.ModeAll), 60, 60, 30
	c.Monitoring.Address = "127.0.0.1:9102"
	return c
}

// loadConfig reads and checks a configuration; all problems are told at once.
func loadConfig(path string) (config, error) {
	c := defaults()
	if err := conffile.Load(path, &c, c.validate); err != nil {
		return c, err
	}
	for _, p := range c.paths() {
		*p = conffile.Relative(path, *p)
	}
	return c, nil
}

// paths are the settings that name files.
func (c *config) paths() []*string {
	out := []*string{&c.Storage.Path, &c.Storage.SegmentsPath, &c.Backup.Directory, &c.Encrypt.PublicKeyPath, &c.Parties.PartyIDsPath, &c.Service.CAPath,
		&c.Service.ClientCert, &c.Service.ClientKey, &c.Log.File.Path, &c.AddressFile}
	for i := range c.Callback.Server {
		s := &c.Callback.Server[i]
		out = append(out, &s.PublicKeyPath, &s.CAPath, &s.ClientCert, &s.ClientKey)
	}
	for i := range c.Authorization.PublicKeyPaths {
		out = append(out, &c.Authorization.PublicKeyPaths[i])
	}
	return out
}

func (c *config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf("  "+format, args...)) }
	if c.Storage.Engine != "bolt" {
		problem("storage.engine is %q: this version has \"bolt\" (a sealed file) only", c.Storage.Engine)
	}
	if c.Storage.T != 1 {
		if err := segment.CheckNumbers(c.Storage.T, c.Storage.N); err != nil {
			problem("storage.t and storage.n: %v; t = 1 means one password", err)
		}
		if c.Storage.SegmentsPath == "" {
			problem("storage.segments-path is missing: `mpc-node password generate` makes that file")
		}
	}
	for _, a := range []struct{ key, value string }{{"storage.unseal-server-address", c.Storage.UnsealServerAddress}, {"monitoring.address", c.Monitoring.Address}} {
		if err := conffile.Loopback(a.value); err != nil {
			problem("%s: %v", a.key, err)
		}
	}
	if c.Service.Protocol != "ws" && c.Service.Protocol != "wss" {
		problem("mpc-service.protocol is %q: \"ws\" or \"wss\" is needed", c.Service.Protocol)
	}
	if c.Service.Address == "" || strings.Contains(c.Service.Address, "/") {
		problem("mpc-service.address is %q: host:port is needed, the path goes into mpc-service.path", c.Service.Address)
	}
	if !strings.HasPrefix(c.Service.Path, "/") {
		problem("mpc-service.path is %q: it starts with \"/\"", c.Service.Path)
	}
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
	for i, s := range c.Callback.Server {
		if s.Address == "" || s.PublicKeyPath == "" {
			problem("callback.server number %d needs address and public-key-path", i+1)
		}
		if s.RawdataAck != "" && s.RawdataAck != ackSigned && s.RawdataAck != ackUnsigned {
			problem("callback.server number %d has rawdata-ack %q: %q or %q is needed", i+1, s.RawdataAck, ackSigned, ackUnsigned)
		}
		if tls := s.CAPath + s.ClientCert + s.ClientKey; tls != "" && !strings.HasPrefix(strings.ToLower(s.Address), "https://") {
			problem("callback.server number %d has TLS files (ca-path, client-cert-path, client-key-path), and its address does not begin with https://", i+1)
		}
		if (s.ClientCert == "") != (s.ClientKey == "") {
			problem("callback.server number %d needs client-cert-path and client-key-path together", i+1)
		}
	}
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
