package asking_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// post is a request as it arrived.
type post struct {
	path      string
	body      []byte
	signature string
}

// server is a callback server that answers as a test says.
type server struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	node *ecdsa.PublicKey // of the node that asks
	url  string

	mu     sync.Mutex // guards the fields below
	posts  []post
	answer []func(http.ResponseWriter, *wire.Request) // one for each request; the last one stays
}

func newServer(t testing.TB, node *ecdsa.PrivateKey, answer ...func(http.ResponseWriter, *wire.Request)) *server {
	t.Helper()
	s := &server{t: t, key: newKey(t), node: &node.PublicKey, answer: answer}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

// ServeHTTP verifies and parses as a server must, before it answers.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.posts = append(s.posts, post{r.URL.Path, body, r.Header.Get("Signature")})
	answer := s.answer[0]
	if len(s.answer) > 1 {
		s.answer = s.answer[1:]
	}
	s.mu.Unlock()
	path := wire.PathCheck
	for _, p := range []wire.Path{wire.PathRawdata, wire.PathOutcome} {
		if strings.HasSuffix(r.URL.Path, string(p)) {
			path = p
		}
	}
	request, err := wire.OpenRequest(path, body, r.Header.Get("Signature"), []*ecdsa.PublicKey{s.node})
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		s.t.Errorf("%s %s of a node: %v", r.Method, r.URL.Path, err)
	}
	answer(w, request)
}

func (s *server) got() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]post(nil), s.posts...)
}

// reply is the honest reply to a request, with the changes of f.
func (s *server) reply(q *wire.Request, action wire.Action, f func(*wire.ResponseData)) []byte {
	data := wire.ResponseData{CallbackID: q.Check.CallbackID, SinoID: q.Check.ExtraInfo.SinoID, RequestID: q.Check.ExtraInfo.RequestID, Action: action}
	if action == wire.Wait {
		data.WaitTime = "30"
	}
	if f != nil {
		f(&data)
	}
	body, err := wire.Reply(s.key, data, wire.StyleTitle, "a reason")
	must(s.t, err)
	return body
}

// say answers with an action.
func say(s **server, action wire.Action, f func(*wire.ResponseData)) func(http.ResponseWriter, *wire.Request) {
	return func(w http.ResponseWriter, q *wire.Request) { _, _ = w.Write((*s).reply(q, action, f)) }
}

func status(code int, body string) func(http.ResponseWriter, *wire.Request) {
	return func(w http.ResponseWriter, _ *wire.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// question is a check as a node makes it, or the report of a signature.
func question(t testing.TB, node *ecdsa.PrivateKey, kind string) asking.Question {
	t.Helper()
	id, err := wire.NewCallbackID(nil)
	must(t, err)
	c := &wire.Check{CallbackID: id, RequestType: kind, ExtraInfo: wire.ExtraInfo{SinoID: "sino-1", RequestID: "r-1"}}
	c.RequestDetail.Message, c.RequestDetail.SignType = "00", wire.SignTypeRaw
	body, signature, err := wire.SealCheck(node, c)
	must(t, err)
	return asking.Question{Body: body, Signature: signature, Asked: c.Asked()}
}

// pauses counts how often, and for how long, an asker paused; it never waits.
type pauses struct{ all []time.Duration }

func (p *pauses) pause(ctx context.Context, d time.Duration) error {
	p.all = append(p.all, d)
	return ctx.Err()
}

func newAsker(t testing.TB, mode asking.Mode, retries int, servers ...*server) (*asking.Asker, *pauses) {
	t.Helper()
	p := &pauses{}
	cfg := asking.Config{Mode: mode, RetryTimes: retries, Sleep: time.Minute, Pause: p.pause}
	for _, s := range servers {
		cfg.Servers = append(cfg.Servers, asking.Server{Address: s.url, Key: &s.key.PublicKey})
	}
	a, err := asking.New(cfg)
	must(t, err)
	return a, p
}

func TestActions(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for action, want := range map[wire.Action]wire.Decision{
		wire.Approve: {Action: wire.Approve},
		wire.Reject:  {Action: wire.Reject, Reason: "a reason"},
		wire.Wait:    {Action: wire.Wait, Reason: "a reason", Wait: 30 * time.Second},
	} {
		var s *server
		s = newServer(t, node, say(&s, action, nil))
		for _, mode := range []asking.Mode{"", asking.ModeAll, asking.ModeFirst} {
			a, p := newAsker(t, mode, 3, s)
			got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), func(try asking.Try) {
				if try.Err != nil || try.Action != action || try.Server != s.url+"/v1/check" || try.Took <= 0 {
					t.Errorf("progress: %+v", try)
				}
			})
			if err != nil || got.Decision != want || got.Approved != (action == wire.Approve) || len(p.all) != 0 {
				t.Errorf("%s, mode %q: %+v (%v)", action, mode, got, err)
			}
		}
		for _, post := range s.got() {
			if post.path != "/v1/check" {
				t.Errorf("asked at %s", post.path)
			}
		}
	}
}

func TestTheVendorsServer(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for _, capitals := range []string{"APPROVE", "ACCEPT", "accept"} {
		var s *server
		s = newServer(t, node, func(w http.ResponseWriter, q *wire.Request) {
			data := fmt.Sprintf(`{"callback_id":%q,"sino_id":"sino-1","request_id":"r-1","action":%q}`, q.Check.CallbackID, capitals)
			der, err := wire.SignP256(s.key, []byte(data))
			must(t, err)
			fmt.Fprintf(w, `{"status":"0","error":"","data":%s,"signature":"%X"}`+"\n", data, der)
		})
		a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url + "/check", Key: &s.key.PublicKey}}})
		must(t, err)
		got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil)
		if err != nil || got.Action != wire.Approve {
			t.Errorf("%s: %+v (%v)", capitals, got, err)
		}
		must(t, a.Report(context.Background(), question(t, node, "")))
		if posts := s.got(); len(posts) != 2 || posts[0].path != "/check" || posts[1].path != "/rawdata_signature" {
			t.Errorf("posts %+v", posts)
		}
	}
}

// noAnswer is a reply that does not count, and what is said of it.
type noAnswer struct {
	bad  func(*server) func(http.ResponseWriter, *wire.Request)
	want string
}

func noAnswers(t testing.TB) map[string]noAnswer {
	stranger := newKey(t)
	return map[string]noAnswer{
		"another key": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return func(w http.ResponseWriter, q *wire.Request) {
				other := &server{t: t, key: stranger}
				_, _ = w.Write(other.reply(q, wire.Approve, nil))
			}
		}, "public-key-path"},
		"another callback_id": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return say(&s, wire.Approve, func(d *wire.ResponseData) { d.CallbackID = "0" })
		}, "callback_id is not that of the request"},
		"another sino_id": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return say(&s, wire.Approve, func(d *wire.ResponseData) { d.SinoID = "sino-2" })
		}, "sino_id"},
		"another request_id": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return say(&s, wire.Approve, func(d *wire.ResponseData) { d.RequestID = "r-2" })
		}, "request_id"},
		"unsigned": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return changed(s, `"signature":"`, `"unsigned":"`)
		}, "not signed"},
		"changed after it was signed": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return func(w http.ResponseWriter, q *wire.Request) {
				_, _ = w.Write(bytes.Replace(s.reply(q, wire.Reject, nil), []byte(`"Reject"`), []byte(`"Approve"`), 1))
			}
		}, "public-key-path"},
		"status 1": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return changed(s, `"status":"0"`, `"status":"1"`)
		}, `"1"`},
		"status 0": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return changed(s, `"status":"0"`, `"status":0`)
		}, ""},
		"HTTP 500": {func(*server) func(http.ResponseWriter, *wire.Request) { return status(500, "oops") }, "HTTP 500"},
		"HTTP 503": {func(*server) func(http.ResponseWriter, *wire.Request) {
			return status(503, `{"status":"503","error":"no policy"}`)
		}, "no policy"},
		"HTTP 400": {func(*server) func(http.ResponseWriter, *wire.Request) {
			return status(400, `{"status":"400","error":"signature"}`)
		}, "signature"},
		"HTTP 404":     {func(*server) func(http.ResponseWriter, *wire.Request) { return status(404, "404 page not found") }, "/check"},
		"HTTP 202":     {func(s *server) func(http.ResponseWriter, *wire.Request) { return coded(s, 202) }, "HTTP 202"},
		"nothing":      {func(*server) func(http.ResponseWriter, *wire.Request) { return status(200, "") }, ""},
		"not JSON":     {func(*server) func(http.ResponseWriter, *wire.Request) { return status(200, "Approve") }, ""},
		"null":         {func(*server) func(http.ResponseWriter, *wire.Request) { return status(200, "null") }, ""},
		"empty object": {func(*server) func(http.ResponseWriter, *wire.Request) { return status(200, "{}") }, ""},
		"cut short": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return func(w http.ResponseWriter, q *wire.Request) {
				body := s.reply(q, wire.Approve, nil)
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				_, _ = w.Write(body[:len(body)-20])
			}
		}, "reply"},
		"without end": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return func(w http.ResponseWriter, q *wire.Request) {
				_, _ = w.Write(s.reply(q, wire.Approve, nil))
				_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20))
			}
		}, "more than 65536 bytes"},
		"another action": {func(s *server) func(http.ResponseWriter, *wire.Request) {
			return func(w http.ResponseWriter, q *wire.Request) { _, _ = w.Write(s.raw(q, "Approved")) }
		}, "action"},
	}
}

func TestWhatDoesNotCountIsTriedAgain(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for name, c := range noAnswers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, node)
			s.answer = append(s.answer, c.bad(s), c.bad(s), say(&s, wire.Approve, nil))
			a, p := newAsker(t, asking.ModeAll, 2, s)
			var heard []error
			q := question(t, node, wire.TypeSign)
			got, err := a.Check(context.Background(), q, func(try asking.Try) {
				if try.Err != nil {
					heard = append(heard, try.Err)
				}
			})
			if err != nil || got.Action != wire.Approve {
				t.Fatalf("%+v (%v)", got, err)
			}
			if len(heard) != 2 || !strings.Contains(heard[0].Error(), c.want) || len(p.all) != 2 || p.all[0] != time.Minute {
				t.Fatalf("heard %v, paused %v", heard, p.all)
			}
			for _, post := range s.got() {
				if !bytes.Equal(post.body, q.Body) || post.signature != q.Signature {
					t.Fatalf("a try sent\n%s\nwhere the question is\n%s", post.body, q.Body)
				}
			}
		})
		t.Run(name+", always", func(t *testing.T) {
			t.Parallel()
			s := newServer(t, node)
			s.answer = append(s.answer, c.bad(s))
			for _, mode := range []asking.Mode{asking.ModeAll, asking.ModeFirst} {
				a, p := newAsker(t, mode, 3, s)
				got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil)
				var unanswered *asking.UnansweredError
				if !errors.As(err, &unanswered) || unanswered.Tries != 4 || got.Action != "" || len(p.all) != 3 || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%+v (%v)", got, err)
				}
				if a.Report(context.Background(), question(t, node, "")) == nil {
					t.Fatal("it was taken for an acknowledgement")
				}
			}
		})
	}
}

// changed is an honest Approve in which some bytes were changed.
func changed(s *server, from, to string) func(http.ResponseWriter, *wire.Request) {
	return func(w http.ResponseWriter, q *wire.Request) {
		body := s.reply(q, wire.Approve, nil)
		if !bytes.Contains(body, []byte(from)) {
			s.t.Errorf("no %s in %s", from, body)
		}
		_, _ = w.Write(bytes.Replace(body, []byte(from), []byte(to), 1))
	}
}

func coded(s *server, code int) func(http.ResponseWriter, *wire.Request) {
	return func(w http.ResponseWriter, q *wire.Request) {
		w.WriteHeader(code)
		_, _ = w.Write(s.reply(q, wire.Approve, nil))
	}
}

// raw is a reply with any action, signed.
func (s *server) raw(q *wire.Request, action string) []byte {
	data, err := json.Marshal(wire.ResponseData{CallbackID: q.Check.CallbackID, Action: wire.Action(action)})
	must(s.t, err)
	der, err := wire.SignP256(s.key, data)
	must(s.t, err)
	return fmt.Appendf(nil, `{"status":"0","data":%s,"signature":"%x"}`, data, der)
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	var target *server
	target = newServer(t, node, say(&target, wire.Approve, nil))
	for _, code := range []int{301, 302, 307, 308} {
		s := newServer(t, node, func(w http.ResponseWriter, _ *wire.Request) {
			w.Header().Set("Location", target.url+"/v1/check")
			w.WriteHeader(code)
		})
		s.key = target.key
		a, _ := newAsker(t, asking.ModeAll, 0, s)
		if got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil); err == nil {
			t.Fatalf("HTTP %d: %+v", code, got)
		}
	}
	if len(target.got()) != 0 {
		t.Fatal("what is asked went to another server")
	}
}

func TestAServerThatIsAway(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	h := httptest.NewServer(http.NotFoundHandler())
	h.Close()
	p := &pauses{}
	a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: h.URL, Key: &node.PublicKey}}, RetryTimes: 5, Pause: p.pause})
	must(t, err)
	_, err = a.Check(context.Background(), question(t, node, wire.TypeSign), nil)
	var unanswered *asking.UnansweredError
	if !errors.As(err, &unanswered) || unanswered.Tries != 6 || len(p.all) != 5 {
		t.Fatalf("%v after %d pauses", err, len(p.all))
	}
}

func TestASlowServerIsGivenUp(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	gate := make(chan struct{})
	s := newServer(t, node, func(http.ResponseWriter, *wire.Request) { <-gate })
	t.Cleanup(func() { close(gate) }) // before the server is closed, which waits for its handlers
	a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url, Key: &s.key.PublicKey}}, Timeout: time.Millisecond})
	must(t, err)
	if _, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	ctx, cancel := context.WithCancel(context.Background())
	s := newServer(t, node, status(500, ""))
	a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url, Key: &s.key.PublicKey}}, RetryTimes: 1000, Sleep: time.Hour})
	must(t, err)
	_, err = a.Check(ctx, question(t, node, wire.TypeSign), func(asking.Try) { cancel() }) // it pauses, and is called off
	if !errors.Is(err, context.Canceled) || len(s.got()) != 1 {
		t.Fatalf("%v after %d tries", err, len(s.got()))
	}
	if _, err := a.Check(ctx, question(t, node, wire.TypeSign), nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
