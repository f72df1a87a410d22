// Package asking puts a node's questions to its callback servers: the check before every keygen and every signature, the
// report of a finished signature, and the word on how an approved request ended. It follows the node's side of the callback
// protocol: what counts as an answer, what is tried again, and how the answers of several servers become one.
//
// It decides nothing and stores nothing: the caller keeps the exact body before it asks, and acts only on a Decision.
package asking

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Mode is how the answers of several servers become one.
type Mode string

const (
	ModeAll   Mode = "all"   // every server must approve
	ModeFirst Mode = "first" // the first answer that counts decides: for replicas that share one store and one key
)

const (
	defaultTimeout = 30 * time.Second
	maxReply       = 64 << 10
)

// Server is one callback server.
type Server struct {
	Address string           // callback.server.address, see wire.CallbackURLs
	Key     *ecdsa.PublicKey // its reply key
	TLS     *tls.Config      // for https; nil: the system's roots and no client certificate. See LoadTLS
	Outcome bool             // it is told how each approved request ended
	// UnsignedAck takes "status":"0" without any signature for an acknowledgement of a report, and of nothing else.
	UnsignedAck bool
}

// Config says whom to ask and how patiently.
type Config struct {
	Servers    []Server
	Mode       Mode             // empty: ModeAll
	RetryTimes int              // tries after the first one that failed, for each question
	Sleep      time.Duration    // between tries
	Timeout    time.Duration    // of one try; 0: 30 s
	HeadStart  time.Duration    // in mode first, of one server before the next is tried beside it; 0: DefaultHeadStart
	Clock      func() time.Time // nil: time.Now
	// Pause waits between tries; nil waits for the time to pass. Tests step it.
	Pause func(context.Context, time.Duration) error
}

// Asker asks callback servers. It is safe for concurrent use.
type Asker struct {
	cfg     Config
	servers []endpoints
}

type endpoints struct {
	Server
	client                  *http.Client
	check, rawdata, outcome string
}

// New checks the configuration.
func New(cfg Config) (*Asker, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("callback: at least one server is needed")
	}
	switch cfg.Mode {
	case "":
		cfg.Mode = ModeAll
	case ModeAll, ModeFirst:
	default:
		return nil, fmt.Errorf("callback.mode is %q: \"all\" or \"first\" is needed", cfg.Mode)
	}
	if cfg.RetryTimes < 0 || cfg.Sleep < 0 {
		return nil, errors.New("callback: retry-times and sleep-seconds cannot be negative")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.HeadStart <= 0 {
		cfg.HeadStart = DefaultHeadStart
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	a := &Asker{cfg: cfg}
	for _, s := range cfg.Servers {
		check, rawdata, outcome, err := wire.CallbackURLs(s.Address)
		if err != nil {
			return nil, fmt.Errorf("callback.server.address %q: %w", s.Address, err)
		}
		if s.Key == nil {
			return nil, fmt.Errorf("callback server %s: its public key is missing", s.Address)
		}
		a.servers = append(a.servers, endpoints{Server: s, client: newClient(s.TLS), check: check, rawdata: rawdata, outcome: outcome})
	}
	return a, nil
}

// newClient makes the client for one server of an Asker, which lives for a question or two: it keeps no connection open
// behind it. A redirect is no answer, and what is asked goes to nobody but the server that is configured, past any proxy.
func newClient(config *tls.Config) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: defaultTimeout, TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Question is one stored body: the same bytes under the same callback_id however often it is tried.
type Question struct {
	Body      []byte
	Signature string
	Asked     wire.Asked
}

// Answer is what the servers decided together, and how old that is.
type Answer struct {
	wire.Decision
	// Approved tells that at least one server said Approve, whatever the others made of it: it counts the request as approved.
	Approved bool
	// Age is how long ago the first of the replies came in: while one server could not be reached, another's grew old.
	Age time.Duration
}

// Try is one try at one server.
type Try struct {
	Server string      // the URL
	Number int         // of the tries at this question, from 1
	Action wire.Action // what it answered; empty where nothing came that counts
	Err    error       // why nothing did
	Took   time.Duration
}

// Told is why nothing came that counts, for others than this node's operator: it does not name the server.
func (t Try) Told() string {
	return "a callback server of this node gave no answer that counts: " + toldCause(t.Err)
}

// toldCause is what others hear of a failed try: what a server answered, and of anything else its kind. Errors of the network name
// addresses, those of certificates names.
func toldCause(err error) string {
	var reply *wire.ReplyError
	switch {
	case errors.As(err, &reply):
		return reply.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	}
	return "it could not be asked, this node's log says why"
}

// UnansweredError says that no answer that counts came from a server, after all tries.
type UnansweredError struct {
	Server string
	Tries  int
	Last   error
}

// Error names the server and the last cause.
func (e *UnansweredError) Error() string {
	return fmt.Sprintf("callback server %s gave no answer that counts in %d tries: %v", e.Server, e.Tries, e.Last)
}

// Told is Error for others than this node's operator: it does not name the server.
func (e *UnansweredError) Told() string {
	return fmt.Sprintf("a callback server of this node gave no answer that counts in %d tries: %s", e.Tries, toldCause(e.Last))
}

// Unwrap returns the cause of the last try.
func (e *UnansweredError) Unwrap() error { return e.Last }

// Check asks for approval and returns what the servers decided together: in mode all the strictest answer (Reject before
// Wait before Approve, and the longest wait). progress, if not nil, hears of every try. The error is the context's or an
// *UnansweredError; some servers may have approved all the same.
func (a *Asker) Check(ctx context.Context, q Question, progress func(Try)) (Answer, error) {
	if progress == nil {
		progress = func(Try) {}
	}
	if a.cfg.Mode == ModeFirst {
		d, err := a.patiently(ctx, a.servers, q, progress)
		return Answer{Decision: d, Approved: d.Action == wire.Approve}, err
	}
	all := wire.Decision{Action: wire.Approve}
	approved := false
	var first time.Time
	for i, s := range a.servers {
		d, err := a.patiently(ctx, []endpoints{s}, q, progress)
		if err != nil {
			return Answer{}, err
		}
		if i == 0 {
			first = a.cfg.Clock()
		}
		approved = approved || d.Action == wire.Approve
		all = stricter(all, d)
		if all.Action == wire.Reject {
			break
		}
	}
	return Answer{Decision: all, Approved: approved, Age: a.cfg.Clock().Sub(first)}, nil
}

// stricter merges two answers. An action that is none of the three cannot come out of wire.OpenReply; it would be Reject.
func stricter(a, b wire.Decision) wire.Decision {
	rank := func(d wire.Decision) int {
		switch d.Action {
		case wire.Approve:
			return 0
		case wire.Wait:
			return 1
		default:
			return 2
		}
	}
	if rank(a) == 1 && rank(b) == 1 {
		a.Wait = max(a.Wait, b.Wait)
		return a
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Report delivers a finished signature's report. In mode all every server must acknowledge it, in mode first any one. It
// tries once at each server, also where another one failed: the caller keeps the report until this returns nil.
func (a *Asker) Report(ctx context.Context, q Question) error {
	return a.deliver(ctx, a.servers, func(ctx context.Context, s endpoints) error {
		body, code, err := s.post(ctx, a.cfg.Timeout, s.rawdata, q)
		if err == nil && !(s.UnsignedAck && unsignedAck(code, body)) {
			_, err = wire.OpenReply(code, body, s.Key, q.Asked)
		}
		return wrap(s.rawdata, err)
	})
}

// WantsOutcome tells whether any server is told how approved requests end.
func (a *Asker) WantsOutcome() bool { return len(a.outcomes()) > 0 }

// Outcome delivers the word on how an approved request ended to the servers that want it, as Report does. Without any such
// server it is delivered.
func (a *Asker) Outcome(ctx context.Context, q Question) error {
	return a.deliver(ctx, a.outcomes(), func(ctx context.Context, s endpoints) error {
		_, err := a.once(ctx, s, s.outcome, q)
		return wrap(s.outcome, err)
	})
}

func (a *Asker) outcomes() []endpoints {
	var out []endpoints
	for _, s := range a.servers {
		if s.Server.Outcome {
			out = append(out, s)
		}
	}
	return out
}

// deliver tries once at each server, by the mode.
func (a *Asker) deliver(ctx context.Context, servers []endpoints, try func(context.Context, endpoints) error) error {
	var failed []error
	if a.cfg.Mode == ModeFirst && len(servers) > 0 {
		none := func(ctx context.Context, s endpoints) (struct{}, error) { return struct{}{}, try(ctx, s) }
		if _, ok := firstOf(ctx, servers, a.cfg.HeadStart, none, func(t tried[struct{}]) { failed = append(failed, t.err) }); ok {
			return nil
		}
		return errors.Join(append(failed, ctx.Err())...)
	}
	for _, s := range servers {
		failed = append(failed, try(ctx, s))
	}
	return errors.Join(failed...)
}

func wrap(url string, err error) error {
	if err != nil {
		return fmt.Errorf("report to %s: %w", url, err)
	}
	return nil
}

// patiently asks the servers until one gives an answer that counts, with pauses after each round of failures.
func (a *Asker) patiently(ctx context.Context, servers []endpoints, q Question, progress func(Try)) (wire.Decision, error) {
	check := func(ctx context.Context, s endpoints) (*wire.Decision, error) { return a.once(ctx, s, s.check, q) }
	for try := 0; ; try++ {
		var last tried[*wire.Decision]
		failed := func(t tried[*wire.Decision]) {
			if ctx.Err() != nil {
				return
			}
			last = t
			progress(Try{Server: t.server.check, Number: try + 1, Err: fmt.Errorf("callback server %s: %w", t.server.check, t.err), Took: t.took})
		}
		if got, ok := firstOf(ctx, servers, a.cfg.HeadStart, check, failed); ok {
			progress(Try{Server: got.server.check, Number: try + 1, Action: got.value.Action, Took: got.took})
			return *got.value, nil
		}
		if ctx.Err() != nil {
			return wire.Decision{}, ctx.Err()
		}
		if try >= a.cfg.RetryTimes {
			return wire.Decision{}, &UnansweredError{Server: last.server.check, Tries: try + 1, Last: last.err}
		}
		if err := a.cfg.Pause(ctx, a.cfg.Sleep); err != nil {
			return wire.Decision{}, err
		}
	}
}

// once posts a body and reads the answer by the rules of what counts.
func (a *Asker) once(ctx context.Context, s endpoints, url string, q Question) (*wire.Decision, error) {
	body, code, err := s.post(ctx, a.cfg.Timeout, url, q)
	if err != nil {
		return nil, err
	}
	return wire.OpenReply(code, body, s.Key, q.Asked)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
