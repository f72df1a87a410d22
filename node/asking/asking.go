// Package asking puts a node's questions to its callback servers: the check before every keygen and every signature, and
// the report of a finished signature. It follows the node's side of the callback protocol: what counts as an answer, what
// is tried again, and how the answers of several servers become one.
//
// It decides nothing and stores nothing: the caller keeps the exact body before it asks, and acts only on a Decision.
package asking

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Mode is how the answers of several servers become one.
type Mode string

const (
	ModeAll   Mode = "all"   // every server must approve
	ModeFirst Mode = "first" // the first answer counts: for replicas that share one store and one key
)

const (
	defaultTimeout = 30 * time.Second
	maxReply       = 64 << 10
)

// Server is one callback server.
type Server struct {
	Address string           // callback.server.address, see wire.CallbackURLs
	Key     *ecdsa.PublicKey // its reply key
}

// Config says whom to ask and how patiently.
type Config struct {
	Servers    []Server
	Mode       Mode             // empty: ModeAll
	RetryTimes int              // tries after the first one that failed, for each question
	Sleep      time.Duration    // between tries
	Timeout    time.Duration    // of one try; 0: 30 s
	Client     *http.Client     // nil: one that follows no redirects, uses no proxy and keeps no connection
	Log        *slog.Logger     // nil: none
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
	key            *ecdsa.PublicKey
	check, rawdata string
}

// New checks the configuration.
func New(cfg Config) (*Asker, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("callback: at least one server is needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
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
	if cfg.Client == nil {
		cfg.Client = newClient()
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	a := &Asker{cfg: cfg}
	for _, s := range cfg.Servers {
		check, rawdata, _, err := wire.CallbackURLs(s.Address)
		if err != nil {
			return nil, fmt.Errorf("callback.server.address %q: %w", s.Address, err)
		}
		if s.Key == nil {
			return nil, fmt.Errorf("callback server %s: its public key is missing", s.Address)
		}
		a.servers = append(a.servers, endpoints{key: s.Key, check: check, rawdata: rawdata})
	}
	return a, nil
}

// newClient makes the client for one Asker, which lives for a question or two: it keeps no connection open behind it. A
// redirect is no answer, and what is asked goes to nobody but the server that is configured.
func newClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: defaultTimeout},
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
	// Age is how long ago the first of the replies came in: while one server could not be reached, another's grew old.
	Age time.Duration
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

// Unwrap returns the cause of the last try.
func (e *UnansweredError) Unwrap() error { return e.Last }

// Check asks for approval and returns what the servers decided together: in mode all the strictest answer (Reject before
// Wait before Approve, and the longest wait). progress, if not nil, hears of every try that failed. The error is the
// context's or an *UnansweredError.
func (a *Asker) Check(ctx context.Context, q Question, progress func(error)) (Answer, error) {
	if a.cfg.Mode == ModeFirst {
		d, err := a.patiently(ctx, a.servers, q, progress)
		return Answer{Decision: d}, err
	}
	all := wire.Decision{Action: wire.Approve}
	var first time.Time
	for i, s := range a.servers {
		d, err := a.patiently(ctx, []endpoints{s}, q, progress)
		if err != nil {
			return Answer{}, err
		}
		if i == 0 {
			first = a.cfg.Clock()
		}
		all = stricter(all, d)
		if all.Action == wire.Reject {
			break
		}
	}
	return Answer{Decision: all, Age: a.cfg.Clock().Sub(first)}, nil
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
	var failed []error
	for _, s := range a.servers {
		_, err := a.once(ctx, s, s.rawdata, q)
		if err != nil {
			failed = append(failed, fmt.Errorf("report to %s: %w", s.rawdata, err))
		} else if a.cfg.Mode == ModeFirst {
			return nil
		}
	}
	return errors.Join(failed...)
}

// patiently asks the servers in turn until one gives an answer that counts, with pauses after each round of failures.
func (a *Asker) patiently(ctx context.Context, servers []endpoints, q Question, progress func(error)) (wire.Decision, error) {
	for try := 0; ; try++ {
		var last error
		for _, s := range servers {
			d, err := a.once(ctx, s, s.check, q)
			if err == nil {
				return *d, nil
			}
			if ctx.Err() != nil {
				return wire.Decision{}, ctx.Err()
			}
			last = err
			a.cfg.Log.WarnContext(ctx, "callback gave no answer that counts", "callback_id", q.Asked.CallbackID,
				"server", s.check, "try", try+1, "error", err)
			if progress != nil {
				progress(fmt.Errorf("callback server %s: %w", s.check, err))
			}
		}
		if try >= a.cfg.RetryTimes {
			return wire.Decision{}, &UnansweredError{Server: servers[len(servers)-1].check, Tries: try + 1, Last: last}
		}
		if err := a.cfg.Pause(ctx, a.cfg.Sleep); err != nil {
			return wire.Decision{}, err
		}
	}
}

// once posts a body and reads the answer by the rules of what counts.
func (a *Asker) once(ctx context.Context, s endpoints, url string, q Question) (*wire.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(q.Body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Signature", q.Signature)
	response, err := a.cfg.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("read the reply: %w", err)
	}
	if len(body) > maxReply {
		return nil, fmt.Errorf("the reply has more than %d bytes", maxReply)
	}
	return wire.OpenReply(response.StatusCode, body, s.key, q.Asked)
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
