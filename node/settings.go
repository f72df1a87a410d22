package node

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// Settings is what an operator configured about whom this node trusts. It is asked anew for each request, so that a key
// file that has been put in place or replaced counts at once, and a missing one refuses requests instead of ending the node.
// Its methods are safe for concurrent use.
type Settings interface {
	// Guard returns the callback servers to ask. nil with no error: there are none, and none is required.
	Guard() (Guard, error)
	// Parties returns the node ids with which this node makes and uses keys.
	Parties() (map[wire.NodeID]bool, error)
	// Requesters returns the keys that may ask for something, and whether every request must be signed by one of them.
	Requesters() (keys map[string]manifest.RequesterKey, required bool, err error)
	// Coordinators says by its TLS certificate which coordinator this node talks to. nil: the system's roots decide, over TLS,
	// and nobody without it.
	Coordinators() (*tls.Config, error)
	// Recipient is the hex SPKI of the key that results are encrypted to; empty if they are not.
	Recipient() (string, error)
	// OnEVM tells whether a tx_info.chainSymbol is an EVM chain's: ECDSA signatures are then reported with v.
	OnEVM(chainSymbol string) bool
	// AllowUnguardedQuorum permits keys that t parties could use with none of them asking a callback.
	AllowUnguardedQuorum() bool
	// Warnings says in words what weakens this node.
	Warnings() []string
}

// CallbackServer is one [[callback.server]] of the configuration.
type CallbackServer struct {
	Address       string
	PublicKeyPath string
	TLS           asking.TLSFiles
	Outcome       bool // it is told how each approved request ended
	UnsignedAck   bool // it signs no acknowledgements of signature reports
}

// FileSettings are Settings from a configuration file and the key files that it names.
type FileSettings struct {
	PartyIDs             []string // allow-list
	PartyIDsPath         string   // a file of node ids, one a line, that adds to it
	RequesterKeyPaths    []string // PEM public keys
	RequesterRequired    bool
	CoordinatorKeys      []string        // hex SHA-256 of the SPKI of the coordinators' certificates; empty: any
	CoordinatorTLS       asking.TLSFiles // the roots for coordinators, and this node's client certificate
	CallbackServers      []CallbackServer
	CallbackRequired     bool
	CallbackMode         asking.Mode
	RetryTimes           int
	Sleep                time.Duration
	Timeout              time.Duration // of one try; 0: the default of asking.Config
	UnguardedQuorum      bool
	EncryptPublicKeyPath string   // empty: results are not encrypted
	EVMChains            []string // values of tx_info.chainSymbol
}

var _ Settings = (*FileSettings)(nil)

// Guard implements Settings.
func (s *FileSettings) Guard() (Guard, error) {
	if len(s.CallbackServers) == 0 {
		if s.CallbackRequired {
			return nil, errors.New("callback.required is true and no [[callback.server]] is configured at this node: it takes part in nothing")
		}
		return nil, nil
	}
	cfg := asking.Config{Mode: s.CallbackMode, RetryTimes: s.RetryTimes, Sleep: s.Sleep, Timeout: s.Timeout}
	var problems []error
	for i, server := range s.CallbackServers {
		key, err := loadKey(server.PublicKeyPath)
		if err != nil {
			const text = "the public key of callback server %s (callback.server.public-key-path) cannot be read: %w"
			problems = append(problems, &private{fmt.Errorf(text, server.Address, err),
				fmt.Sprintf("the public key of callback server %d of this node (callback.server.public-key-path) cannot be read: %s", i+1, reasonOf(err))})
		}
		config, err := asking.LoadTLS(server.TLS)
		if err != nil {
			problems = append(problems, &private{fmt.Errorf("callback server %s: %w", server.Address, err),
				fmt.Sprintf("the TLS files of callback server %d of this node cannot be used: its log says why", i+1)})
		}
		cfg.Servers = append(cfg.Servers, asking.Server{Address: server.Address, Key: key, TLS: config, Outcome: server.Outcome, UnsignedAck: server.UnsignedAck})
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	asker, err := asking.New(cfg)
	if err != nil {
		return nil, &private{err, "[callback] of this node's configuration cannot be used: its log says why"}
	}
	return asker, nil
}

// Parties implements Settings.
func (s *FileSettings) Parties() (map[wire.NodeID]bool, error) {
	ids := s.PartyIDs
	if s.PartyIDsPath != "" {
		lines, err := readLines(s.PartyIDsPath)
		if err == nil {
			err = trusted(s.PartyIDsPath)
		}
		if err != nil {
			return nil, prefixed("parties.party-ids-path", err)
		}
		ids = append(lines, ids...)
	}
	allowed, problems := make(map[wire.NodeID]bool, len(ids)), []error(nil)
	for _, text := range ids {
		id, err := wire.ParseNodeID(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("parties.party-ids: %w", err))
		}
		allowed[id] = true
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return allowed, nil
}

// Requesters implements Settings.
func (s *FileSettings) Requesters() (map[string]manifest.RequesterKey, bool, error) {
	keys := make(map[string]manifest.RequesterKey, len(s.RequesterKeyPaths))
	var problems []error
	for _, path := range s.RequesterKeyPaths {
		data, err := os.ReadFile(path)
		if err == nil {
			err = trusted(path)
		}
		if err != nil {
			problems = append(problems, prefixed("authorization.public-key-paths", err))
			continue
		}
		key, err := manifest.ParseRequesterKey(data)
		if err != nil {
			problems = append(problems, &private{fmt.Errorf("authorization.public-key-paths: %s: %w", path, err), "authorization.public-key-paths: " + reasonOf(err)})
			continue
		}
		keys[key.ID()] = key
	}
	if len(problems) > 0 {
		return nil, true, errors.Join(problems...)
	}
	return keys, s.RequesterRequired, nil
}

// Coordinators implements Settings.
func (s *FileSettings) Coordinators() (*tls.Config, error) {
	config, err := asking.LoadTLS(s.CoordinatorTLS)
	if err != nil {
		return nil, fmt.Errorf("mpc-service: %w", err)
	}
	if len(s.CoordinatorKeys) == 0 {
		return config, nil
	}
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	allowed, err := CoordinatorKeys(s.CoordinatorKeys)
	if err != nil {
		return nil, err
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		leaf := state.PeerCertificates[0] // a client's handshake ends with one, and it is verified
		if sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo); !allowed[sum] {
			return fmt.Errorf("the coordinator's certificate has the key %x, which is not among authorization.coordinators of this node", sum)
		}
		return nil
	}
	return config, nil
}

// CoordinatorKeys reads authorization.coordinators: hex SHA-256 of the SPKI of certificates.
func CoordinatorKeys(texts []string) (map[[sha256.Size]byte]bool, error) {
	allowed := make(map[[sha256.Size]byte]bool, len(texts))
	for i, text := range texts {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("authorization.coordinators: entry %d is not hex of 32 bytes, the SHA-256 of a certificate's public key (SPKI)", i+1)
		}
		allowed[[sha256.Size]byte(sum)] = true
	}
	return allowed, nil
}

// Recipient implements Settings.
func (s *FileSettings) Recipient() (string, error) {
	if s.EncryptPublicKeyPath == "" {
		return "", nil
	}
	key, err := loadKey(s.EncryptPublicKeyPath)
	if err != nil {
		return "", prefixed("the key that results are encrypted to (encrypt-signature.public-key-path) cannot be read", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encrypt-signature.public-key-path: %w", err)
	}
	return hex.EncodeToString(der), nil
}

// OnEVM implements Settings.
func (s *FileSettings) OnEVM(chainSymbol string) bool {
	return slices.Contains(s.EVMChains, chainSymbol)
}

// AllowUnguardedQuorum implements Settings.
func (s *FileSettings) AllowUnguardedQuorum() bool { return s.UnguardedQuorum }

// Warnings implements Settings.
func (s *FileSettings) Warnings() []string {
	var out []string
	if len(s.CallbackServers) == 0 && !s.CallbackRequired {
		out = append(out, "no callback server is configured: this node signs whatever the other parties of a key sign")
	}
	if !s.RequesterRequired {
		out = append(out, "authorization.required is false: this node takes part in requests that nobody has signed")
	}
	if s.UnguardedQuorum {
		out = append(out, "callback.allow-unguarded-quorum is true: keys may be made that sign without any callback server")
	}
	check := func(err error) {
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			for _, one := range several.Unwrap() {
				out = append(out, "requests are refused: "+one.Error())
			}
		} else if err != nil {
			out = append(out, "requests are refused: "+err.Error())
		}
	}
	_, err := s.Guard()
	check(err)
	_, err = s.Parties()
	check(err)
	_, _, err = s.Requesters()
	check(err)
	_, err = s.Coordinators()
	check(err)
	_, err = s.Recipient()
	check(err)
	return out
}

func loadKey(path string) (*ecdsa.PublicKey, error) {
	if path == "" {
		return nil, errors.New("no path is given")
	}
	key, err := wire.LoadPublicKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &private{fmt.Errorf("%s does not exist: put the PEM public key there", path), "the file does not exist: put the PEM public key there"}
	}
	if err != nil {
		return nil, &private{err, "the file is not a PEM public key that can be read"}
	}
	return key, trusted(path)
}

// trusted refuses a file that everybody can write, or replace in its folder: it says whom the node trusts, and is read anew for each
// request, so that a look at the start is not enough.
func trusted(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode()&0o002 != 0 {
		return &private{fmt.Errorf("everybody can write %s, mode %v: chmod go-w %s", path, info.Mode(), path), "everybody can write the file: chmod go-w"}
	}
	dir := filepath.Dir(path)
	if info, err = os.Stat(dir); err != nil {
		return err
	}
	if info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return &private{fmt.Errorf("everybody can replace %s, as its folder has mode %v: chmod o-w %s", path, info.Mode(), dir),
			"everybody can replace the file, as its folder is writable: chmod o-w"}
	}
	return nil
}
