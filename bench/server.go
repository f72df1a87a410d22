package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/logging"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/prover"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

// The modes of a server.
const (
	modeFloor     = "floor"     // reads the body and answers a fixed text
	modeEnvelope  = "envelope"  // verifies, parses strictly, and signs a reply
	modeForgetful = "forgetful" // decides, and keeps nothing
	modeDurable   = "durable"   // decides, as cmd/callback does
	modeProver    = "prover"    // tests a policy that is to be reloaded, for one of those that decide
)

// The files of a server's folder.
const (
	nodeKeyFile  = "node.pem" // the public key
	replyKeyFile = "reply.pem"
	dataFile     = "data.json"
	ledgerFile   = "callback.db"
	logFile      = "server.log"   // behind the mode
	addressFile  = "address.json" // as that
)

const origin = "bench.example/countersign"

// server is a process under test.
type server struct {
	mode    string
	dir     string
	handler http.Handler
	written *atomic.Int64 // bytes given to the store
	reload  func(context.Context) (string, error)
	close   []func() error // in reverse order
}

// serve runs a server until its standard input ends.
func serve(mode, dir string, in io.Reader, out io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &server{mode: mode, dir: dir, written: new(atomic.Int64)}
	defer func() {
		for i := len(s.close) - 1; i >= 0; i-- {
			err = errors.Join(err, s.close[i]())
		}
	}()
	if err := s.make(ctx); err != nil {
		return err
	}
	l, err := listeners.Open(filepath.Join(dir, mode+"-"+addressFile), listeners.Side{Name: "callback", Key: "listen", Address: "127.0.0.1:0", Handler: s.handler})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx, nil) }()
	fmt.Fprintln(out, l.Address("callback"))
	for orders := bufio.NewScanner(in); orders.Scan(); {
		answer, err := s.order(ctx, orders.Text())
		if err != nil {
			answer = "error " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Fprintln(out, answer)
	}
	stop()
	return <-ended
}

// order does what the measuring process asks for.
func (s *server) order(ctx context.Context, order string) (string, error) {
	verb, argument, _ := strings.Cut(order, " ")
	switch verb {
	case "written":
		return fmt.Sprint(s.written.Load()), nil
	case "heap":
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return fmt.Sprint(m.HeapAlloc), nil
	case "reload":
		begin := time.Now()
		if _, err := s.reload(ctx); err != nil {
			return "", err
		}
		return fmt.Sprint(time.Since(begin).Nanoseconds()), nil
	case "profile":
		f, err := os.Create(argument)
		if err != nil {
			return "", err
		}
		s.close = append(s.close, f.Close)
		return "profiling", pprof.StartCPUProfile(f)
	case "profiled":
		pprof.StopCPUProfile()
		return "profiled", nil
	}
	return "", fmt.Errorf("the order %q is none", verb)
}

func (s *server) make(ctx context.Context) error {
	node, err := wire.LoadPublicKey(filepath.Join(s.dir, nodeKeyFile))
	if err != nil {
		return err
	}
	reply, err := wire.LoadPrivateKey(filepath.Join(s.dir, replyKeyFile))
	if err != nil {
		return err
	}
	switch s.mode {
	case modeFloor:
		s.handler = routed(floor)
	case modeEnvelope:
		s.handler = routed(envelope([]*ecdsa.PublicKey{node}, reply))
	case modeForgetful:
		store := &forgetful{}
		if err := store.remember(func(s ledger.Store) error { return openLedger(ctx, s, nil) }); err != nil {
			return err
		}
		return s.decides(ctx, store, node, reply)
	case modeDurable:
		store, err := ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(s.dir, ledgerFile)})
		if err != nil {
			return err
		}
		s.close = append(s.close, store.Close)
		return s.decides(ctx, store, node, reply)
	default:
		return fmt.Errorf("the mode %q is none", s.mode)
	}
	return nil
}

func openLedger(ctx context.Context, store ledger.Store, to **ledger.Ledger) error {
	l, err := ledger.New(ctx, ledger.Config{Store: store, Origin: origin})
	if to != nil {
		*to = l
	}
	return err
}

// decides makes the whole callback server over a store.
func (s *server) decides(ctx context.Context, store ledger.Store, node *ecdsa.PublicKey, reply *ecdsa.PrivateKey) error {
	counted := &counting{Store: store}
	s.written = &counted.written
	var books *ledger.Ledger
	if err := openLedger(ctx, counted, &books); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(s.dir, s.mode+"-"+logFile))
	if err != nil {
		return err
	}
	s.close = append(s.close, file.Close)
	log := logging.New("info", "json", file)
	apart, err := prover.New(prover.Config{Args: []string{"-serve", modeProver}, Env: []string{asServer + "=1"}, Log: log})
	if err != nil {
		return err
	}
	live, err := policy.NewLive(ctx, policy.LiveConfig{Prover: apart, Read: func() (*policy.Source, error) {
		return policy.Load(rego.FS(), filepath.Join(s.dir, dataFile))
	}})
	if err != nil {
		return err
	}
	resultKey, err := callback.ParseResultKey(callback.GenerateResultKey())
	if err != nil {
		return err
	}
	c, err := callback.New(callback.Config{
		Ledger: books, Policy: live, ResultKey: resultKey, AdminToken: secret.Copy([]byte("a token that nobody uses in this run")),
		Nodes: []callback.Node{{Name: "a", PublicKey: node, ReplyKey: reply}}, RateLimit: -1, Log: log, Version: "bench",
	})
	if err != nil {
		return err
	}
	s.handler, s.reload = c.Handler(), c.ReloadPolicy
	return nil
}

func routed(handler http.HandlerFunc) http.Handler {
	r := chi.NewRouter()
	r.Post("/v1"+string(wire.PathCheck), handler)
	return r
}

// floor is what any server in Go pays for a request.
func floor(w http.ResponseWriter, r *http.Request) {
	if _, err := wire.ReadBody(r.Body, wire.DefaultBodyLimit); err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"action":"Approve"}`)
}

// envelope is what the protocol alone asks for: a request that is authentic and well formed, and a signed reply.
func envelope(keys []*ecdsa.PublicKey, reply *ecdsa.PrivateKey) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := wire.ReadBody(r.Body, wire.DefaultBodyLimit)
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		signature, err := wire.SignatureHeader(r.Header)
		if err != nil {
			http.Error(w, "unsigned", http.StatusBadRequest)
			return
		}
		request, err := wire.OpenRequest(wire.PathCheck, body, signature, keys)
		if err != nil {
			http.Error(w, "refused", http.StatusBadRequest)
			return
		}
		c := &request.Check
		answer, err := wire.Reply(reply, wire.ResponseData{
			CallbackID: c.CallbackID, SinoID: c.ExtraInfo.SinoID, RequestID: c.ExtraInfo.RequestID, Action: wire.Approve,
		}, wire.StyleTitle, "")
		if err != nil {
			http.Error(w, "unsigned", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}
}
