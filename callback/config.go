package callback

import (
	"context"
	"crypto/ecdsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// Limits and defaults.
const (
	MaxNodes         = 8                     // nodes that may share a server (WIRE.md)
	DefaultBodyLimit = wire.DefaultBodyLimit // bytes
	// MaxBodyLimit keeps what is recorded of a body, escaped as JSON, within what the ledger takes; a body that grows
	// beyond that is rejected and recorded by its hash.
	MaxBodyLimit         = 4 << 20
	DefaultRateLimit     = 200 // requests a second from one client address
	DefaultMaxConcurrent = 256 // requests that are verified and decided at one time
	MinTokenLength       = 32  // characters of the admin token
	// decideTimeout bounds one decision, waiting for the store included.
	decideTimeout = 20 * time.Second
)

// Node is one MPC node that may ask.
type Node struct {
	Name      string            // unique; what policies, logs and metrics call it
	PublicKey *ecdsa.PublicKey  // P-256; verifies the node's requests
	ReplyKey  *ecdsa.PrivateKey // P-256; signs the replies to this node and to no other
	// DecryptKey opens signature results that the node encrypts to it; nil: they are kept and acknowledged unopened.
	DecryptKey *ecdsa.PrivateKey
	// ClientCertificate is the one that the node's connections have to show; nil: any that the listener takes.
	ClientCertificate *x509.Certificate
}

// Config is what New needs.
type Config struct {
	Ledger *ledger.Ledger
	Policy *policy.Live
	// PolicySource says whether a reload of the files changes the policy; "": PolicyFiles.
	PolicySource PolicySource
	// PolicyAccepted is told the revision of each policy that this server has made the active one; nil: nobody.
	PolicyAccepted func(revision string) error
	// SignedPolicy reads the bundle whose signature and number were checked: policies that operators hand in or have proposed are
	// taken only if they are the same one. nil: no signature is asked for.
	SignedPolicy func() (*policy.Source, error)
	// Shadow reads a policy that runs beside the live one and only records what it would have decided; nil: what operators
	// set, if they did.
	Shadow func() (*policy.Source, error)
	// Nodes may be empty: then every request is refused, since nobody's signature can be verified.
	Nodes []Node
	// Keys are those whose chain code is known, so that the key of each path is; nil: none.
	Keys *Keys
	// ResultKey seals signature results in the ledger's store.
	ResultKey *ResultKey
	// AdminToken is the bearer token of the admin API that may do everything, at least MinTokenLength characters.
	AdminToken secret.Bytes
	// Operators may use the admin API too, each as far as its roles go.
	Operators []Operator
	// AdminTLS says that Admin is served over TLS, and that other hosts may reach it: /metrics then needs a role, and any
	// Host header is taken.
	AdminTLS bool
	// StoreBytes is how much room the ledger's store takes, for metrics; nil: it is not known.
	StoreBytes func() (int64, error)
	// CopyStore writes the ledger's file, as it is at one moment, to the writer that to returns for its size in bytes, and
	// ends when ctx does; nil: it is in no file.
	CopyStore func(ctx context.Context, to func(ctx context.Context, size int64) (io.Writer, error)) error
	// Certificates tell, by the name of a listener, when its TLS certificate runs out; metrics show it.
	Certificates map[string]func() time.Time
	// Retention is for how long entries of the log are kept, at least MinRetention; 0: for ever. Checkpoints, windows,
	// approvals and the hashes of entries and ids stay.
	Retention time.Duration
	// Witnesses keep the log's checkpoints outside it. One that cannot be reached stops no decision; metrics show it.
	Witnesses       []Witness
	CheckpointEvery time.Duration    // 0: DefaultCheckpointEvery
	ActionStyle     wire.ActionStyle // empty: wire.StyleTitle
	BodyLimit       int64            // bytes; 0: DefaultBodyLimit
	// RateLimit is how many requests a second one client address may send, with bursts of twice that; 0:
	// DefaultRateLimit, negative: no limit.
	RateLimit float64
	// MaxConcurrent is how many requests are verified and decided at one time; one more is turned away with 503. 0:
	// DefaultMaxConcurrent, negative: no limit.
	MaxConcurrent int
	Clock         ledger.Clock // nil: ledger.SystemClock()
	Log           *slog.Logger // nil: slog.Default()
	Version       string       // of the software, for metrics
}

// validate checks the configuration and reports everything that is wrong with it.
func (c *Config) validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Ledger == nil {
		problem("a ledger is needed")
	}
	if c.Policy == nil {
		problem("a policy is needed")
	}
	if c.PolicySource != "" && c.PolicySource != PolicyFiles && c.PolicySource != PolicyActivated {
		problem("the policy's source is %q: it is %s or %s", c.PolicySource, PolicyFiles, PolicyActivated)
	}
	if c.ResultKey == nil {
		problem("a result key is needed")
	}
	if c.AdminToken.Len() < MinTokenLength {
		problem("the admin token has %d characters: at least %d are needed", c.AdminToken.Len(), MinTokenLength)
	}
	if c.BodyLimit < 0 || c.BodyLimit > MaxBodyLimit {
		problem("the body limit of %d bytes is not from 1 to %d", c.BodyLimit, MaxBodyLimit)
	}
	if _, err := wire.ParseActionStyle(string(c.ActionStyle)); err != nil {
		problem("%w", err)
	}
	if c.Retention < 0 || c.Retention > 0 && c.Retention < MinRetention {
		problem("entries of the log would be kept for %v: at least %v, or 0 to keep them for ever", c.Retention, MinRetention)
	}
	if c.CheckpointEvery < 0 {
		problem("the log would be signed every %v: a positive time is needed", c.CheckpointEvery)
	}
	names := map[string]bool{}
	for _, w := range c.Witnesses {
		if w.Name() == "" || names[w.Name()] {
			problem("a witness is called %q: each needs a name of its own", w.Name())
		}
		names[w.Name()] = true
	}
	if err := CheckOperators(c.Operators); err != nil {
		problem("%w", err)
	}
	for _, o := range c.Operators {
		if c.AdminToken.Len() > 0 && subtle.ConstantTimeCompare(o.Token.Expose(), c.AdminToken.Expose()) == 1 {
			problem("operator %s has the admin token, which may do everything: give it one of its own", o.Name)
		}
	}
	if err := CheckNodes(c.Nodes); err != nil {
		problem("%w", err)
	}
	return errors.Join(problems...)
}

// CheckNodes reports everything that is wrong with a set of nodes: too many, a missing key, and names, node keys or
// reply keys that are not each other's only. With a shared reply key one node's harmless approval could be shown to
// another node, so that is refused; so is a reply key that is also the key of a node, which would sign requests with it.
func CheckNodes(nodes []Node) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(nodes) > MaxNodes {
		problem("%d nodes: at most %d may share a server", len(nodes), MaxNodes)
	}
	for i, n := range nodes {
		switch {
		case n.Name == "" || len(n.Name) > 64:
			problem("node number %d needs a name of at most 64 bytes", i+1)
		case !isP256(n.PublicKey):
			problem("node %s has no P-256 public key", n.Name)
		case n.ReplyKey == nil || !isP256(&n.ReplyKey.PublicKey):
			problem("node %s has no P-256 reply key", n.Name)
		case n.DecryptKey != nil && !isP256(&n.DecryptKey.PublicKey):
			problem("the decryption key of node %s is not a P-256 key", n.Name)
		default:
			problems = append(problems, collisions(nodes[:i], n)...)
		}
	}
	return errors.Join(problems...)
}

// collisions compares a node with those before it, and its reply key with every node's key.
func collisions(before []Node, n Node) []error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if n.ReplyKey.PublicKey.Equal(n.PublicKey) {
		problem("node %s: its reply key is its own key: make one for the server (callback keys generate)", n.Name)
	}
	for _, b := range before {
		if b.Name == n.Name {
			problem("two nodes are called %s", n.Name)
		}
		if !isP256(b.PublicKey) || b.ReplyKey == nil {
			continue // told already
		}
		if n.PublicKey.Equal(b.PublicKey) {
			problem("nodes %s and %s have the same public key", b.Name, n.Name)
		}
		if n.ReplyKey.PublicKey.Equal(&b.ReplyKey.PublicKey) {
			problem("nodes %s and %s share a reply key: an approval for one could be shown to the other; give each its own (callback keys generate)", b.Name, n.Name)
		}
		if n.ReplyKey.PublicKey.Equal(b.PublicKey) || b.ReplyKey.PublicKey.Equal(n.PublicKey) {
			problem("nodes %s and %s: the reply key of one is the key of the other", b.Name, n.Name)
		}
	}
	return problems
}

func isP256(pub *ecdsa.PublicKey) bool {
	if pub == nil {
		return false
	}
	_, err := wire.MarshalPublicKey(pub)
	return err == nil
}
