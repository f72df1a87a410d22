package node_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

const password = "Correct-Horse-7-Battery"

// cheap is the least that Argon2id takes; the tests are about what is around it.
var cheap = keystore.Argon2{Time: 1, MemoryKiB: 8, Threads: 1}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pass(s string) secret.Bytes { return secret.New([]byte(s)) }

// clock is the time of all nodes of a test. It runs with the real one, and tests put it forward.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// before puts the clock forward to so long before a full second, where whatever is counted in seconds is soon over.
func (c *clock) before(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().Add(c.offset)
	c.offset += now.Truncate(time.Second).Add(2*time.Second - d).Sub(now)
}

// settings are a node's settings that tests change at any time.
type settings struct {
	mu         sync.Mutex
	guard      node.Guard
	guardErr   error
	parties    map[wire.NodeID]bool
	partiesErr error
	requesters map[string]manifest.RequesterKey
	required   bool
	reqErr     error
	recipient  string
	unguarded  bool
}

var _ node.Settings = (*settings)(nil)

func (s *settings) change(f func(*settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *settings) Guard() (node.Guard, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard, s.guardErr
}

func (s *settings) Parties() (map[wire.NodeID]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[wire.NodeID]bool)
	for id := range s.parties {
		out[id] = true
	}
	return out, s.partiesErr
}

func (s *settings) Requesters() (map[string]manifest.RequesterKey, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requesters, s.required, s.reqErr
}

func (s *settings) Recipient() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recipient, nil
}

func (s *settings) OnEVM(chainSymbol string) bool { return chainSymbol == "ETH" }

func (s *settings) AllowUnguardedQuorum() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unguarded
}

func (s *settings) Coordinators() (*tls.Config, error) { return nil, nil }

func (s *settings) Warnings() []string { return []string{"this is a test"} }

// guard is a callback that answers as the test says: at once with always, else when the test takes the call from calls.
type guard struct {
	calls  chan *call
	mu     sync.Mutex
	always wire.Action
	asked  []asking.Question
	report func(context.Context, asking.Question) error
	// outcome, if there is one, is told how requests end.
	outcome func(context.Context, asking.Question) error
}

// call is one question that waits for its answer.
type call struct {
	asking.Question
	progress func(asking.Try)
	answer   chan asking.Answer
	fail     chan error
}

var _ node.Guard = (*guard)(nil)

func newGuard(always wire.Action) *guard { return &guard{calls: make(chan *call, 16), always: always} }

func (g *guard) Check(ctx context.Context, q asking.Question, progress func(asking.Try)) (asking.Answer, error) {
	g.mu.Lock()
	g.asked = append(g.asked, q)
	always := g.always
	g.mu.Unlock()
	if always != "" {
		d := wire.Decision{Action: always}
		if always != wire.Approve {
			d.Reason = "as always"
		}
		progress(asking.Try{Action: always})
		return asking.Answer{Decision: d}, nil
	}
	c := &call{Question: q, progress: progress, answer: make(chan asking.Answer, 1), fail: make(chan error, 1)}
	g.calls <- c
	select {
	case <-ctx.Done():
		return asking.Answer{}, ctx.Err()
	case err := <-c.fail:
		return asking.Answer{}, err
	case a := <-c.answer:
		progress(asking.Try{Action: a.Action})
		return a, nil
	}
}

func (g *guard) WantsOutcome() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.outcome != nil
}

func (g *guard) Outcome(ctx context.Context, q asking.Question) error {
	g.mu.Lock()
	outcome := g.outcome
	g.mu.Unlock()
	if outcome == nil {
		return nil
	}
	return outcome(ctx, q)
}

func (g *guard) Report(ctx context.Context, q asking.Question) error {
	g.mu.Lock()
	report := g.report
	g.mu.Unlock()
	if report == nil {
		return nil
	}
	return report(ctx, q)
}

func (g *guard) questions() []asking.Question {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]asking.Question(nil), g.asked...)
}

// next takes the next question.
func (g *guard) next(t testing.TB) *call {
	t.Helper()
	select {
	case c := <-g.calls:
		return c
	case <-time.After(patience):
		t.Fatal("the callback was not asked")
		return nil
	}
}

func (c *call) approve() { c.answer <- asking.Answer{Decision: wire.Decision{Action: wire.Approve}} }

// check is the body of a question.
func (c *call) check(t testing.TB) wire.Check { return checkOf(t, c.Question) }

func checkOf(t testing.TB, q asking.Question) wire.Check {
	t.Helper()
	var c wire.Check
	must(t, json.Unmarshal(q.Body, &c))
	return c
}

// transaction is an unsigned transaction of testdata/evm and its digest.
type transaction struct {
	Name   string `json:"name"`
	RawTx  string `json:"raw_tx"`
	Digest string `json:"digest"`
}

func transactionNamed(t testing.TB, name string) transaction {
	t.Helper()
	data, err := os.ReadFile("../testdata/evm/transactions.json")
	must(t, err)
	var all []transaction
	must(t, json.Unmarshal(data, &all))
	for _, tx := range all {
		if tx.Name == name {
			return tx
		}
	}
	t.Fatalf("no transaction %q in testdata/evm", name)
	return transaction{}
}

func (tx transaction) info(t testing.TB) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]string{"chainSymbol": "ETH", "rawTx": tx.RawTx})
	must(t, err)
	return data
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	must(t, err)
	return b
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func contains(text, part string) bool { return strings.Contains(text, part) }

// set changes what a guard always answers; empty: as the test says.
func (g *guard) set(always wire.Action) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.always = always
}

// onceClose gives a function that closes a channel and may be called again.
func onceClose(c chan struct{}) func() { return sync.OnceFunc(func() { close(c) }) }

// logBuffer is the log of a node.
type logBuffer struct {
	mu   sync.Mutex // guards the fields below
	text bytes.Buffer
	more chan struct{} // closed at the next line; nil: nobody waits
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

// await waits until the log has a text in it.
func (l *logBuffer) await(t testing.TB, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		l.mu.Lock()
		if bytes.Contains(l.text.Bytes(), []byte(text)) {
			l.mu.Unlock()
			return
		}
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-late:
			t.Fatalf("the log has no %q:\n%s", text, l.bytes())
		}
	}
}

func (l *logBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text.Bytes())
}

// holds tells whether a JSON record, or a text, has some bytes in it, as they are, in hex or in base64, also inside strings
// that are base64 of something.
func holds(text, secret []byte) bool {
	whole := secret[:len(secret)/3*3]
	for _, form := range []string{string(secret), hexOf(secret), strings.ToUpper(hexOf(secret)), base64.StdEncoding.EncodeToString(whole)} {
		if bytes.Contains(text, []byte(form)) {
			return true
		}
	}
	for _, quoted := range bytes.Split(text, []byte(`"`)) {
		if inner, err := base64.StdEncoding.DecodeString(string(quoted)); err == nil && len(inner) >= len(secret) && holds(inner, secret) {
			return true
		}
	}
	return false
}
