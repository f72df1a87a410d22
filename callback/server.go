package callback

import (
	"crypto/ecdsa"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Server answers nodes and operators. It is safe for concurrent use.
type Server struct {
	cfg   Config
	nodes []node
	keys  []*ecdsa.PublicKey // of nodes, in their order
	// principals are who may use the admin API.
	principals []principal
	log        *slog.Logger
	clock      ledger.Clock
	limiter    *limiter
	// adminLimiter is for an admin side that other hosts can reach.
	adminLimiter *limiter
	throttle     throttle
	metrics      *metrics
	reload       reloadState
	active       activation
	proposing    sync.Mutex // held while a proposal is judged
	copying      sync.Mutex // held while the ledger is copied
	effectMost   int        // over how many recorded decisions
	shadow       *shadow
	recent       recentInputs
	upkeep       upkeep
	writable     writable
}

// node is a Node with the id that its key has.
type node struct {
	Node
	id wire.NodeID
}

// New checks the configuration and makes a server. It starts nothing: serve Handler and Admin.
func New(cfg Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("callback server: %w", err)
	}
	if cfg.BodyLimit == 0 {
		cfg.BodyLimit = DefaultBodyLimit
	}
	if cfg.RateLimit == 0 {
		cfg.RateLimit = DefaultRateLimit
	}
	if cfg.MaxConcurrent == 0 {
		cfg.MaxConcurrent = DefaultMaxConcurrent
	}
	if cfg.CheckpointEvery == 0 {
		cfg.CheckpointEvery = DefaultCheckpointEvery
	}
	if cfg.Clock == nil {
		cfg.Clock = ledger.SystemClock()
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, clock: cfg.Clock, principals: principals(&cfg), adminLimiter: newLimiter(adminRate),
		limiter: newLimiter(cfg.RateLimit), throttle: newThrottle(cfg.MaxConcurrent),
	}
	s.cfg.AdminToken, s.cfg.Operators = secret.Bytes{}, nil // the hashes of tokens are enough
	for _, n := range cfg.Nodes {
		s.nodes = append(s.nodes, node{n, wire.NodeIDOf(n.PublicKey)})
		s.keys = append(s.keys, n.PublicKey)
	}
	s.active.changing, s.effectMost = newGate(), effectEntries
	s.reload.succeeded(s.clock.Now())
	s.upkeep.witnesses = map[string]witnessState{}
	s.shadow = newShadow()
	s.metrics = newMetrics(s)
	return s, nil
}

// Handler serves the nodes: /check, /rawdata_signature and /outcome, each also below /v1.
func (s *Server) Handler() http.Handler { return s.routes() }

// Admin serves operators and approvers below /admin/v1, and /livez, /readyz and /metrics. It takes none
// that comes from a page in a browser and, unless Config.AdminTLS, loopback requests only, by their Host header. Below
// /admin/v1 an operator's token or client certificate is needed, and the role for what is asked.
func (s *Server) Admin() http.Handler { return s.adminRoutes() }
