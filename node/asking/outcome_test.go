package asking_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// outcome is the word on how a request ended, as a node makes it.
func outcomeOf(t testing.TB, all []*server) asking.Question {
	t.Helper()
	node := newKey(t)
	for _, s := range all {
		s.node = &node.PublicKey
	}
	return question(t, node, wire.TypeOutcome)
}

func TestOutcomesGoToWhoWantsThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode    asking.Mode
		servers []wire.Action
		want    []bool // outcome = true
		taken   bool
		asked   []int
	}{
		{asking.ModeAll, []wire.Action{wire.Approve, wire.Reject}, []bool{true, true}, true, []int{1, 1}}, // whatever the action
		{asking.ModeAll, []wire.Action{wire.Approve, ""}, []bool{true, true}, false, []int{1, 1}},
		{asking.ModeAll, []wire.Action{"", wire.Approve}, []bool{true, true}, false, []int{1, 1}},
		{asking.ModeAll, []wire.Action{"", wire.Approve}, []bool{false, true}, true, []int{0, 1}},
		{asking.ModeAll, []wire.Action{"", ""}, []bool{false, false}, true, []int{0, 0}},
		{asking.ModeFirst, []wire.Action{"", wire.Approve}, []bool{true, true}, true, []int{1, 1}},
		{asking.ModeFirst, []wire.Action{wire.Approve, ""}, []bool{true, true}, true, []int{1, 0}},
		{asking.ModeFirst, []wire.Action{wire.Approve, ""}, []bool{false, true}, false, []int{0, 1}},
		{asking.ModeFirst, []wire.Action{"", ""}, []bool{true, true}, false, []int{1, 1}},
	} {
		all, _ := servers(t, c.servers...)
		cfg := asking.Config{Mode: c.mode}
		wanted := false
		for i, s := range all {
			wanted = wanted || c.want[i]
			cfg.Servers = append(cfg.Servers, asking.Server{Address: s.url, Key: &s.key.PublicKey, Outcome: c.want[i]})
		}
		a, err := asking.New(cfg)
		must(t, err)
		if a.WantsOutcome() != wanted {
			t.Errorf("%+v: it is wanted: %v", c, !wanted)
		}
		if err := a.Outcome(context.Background(), outcomeOf(t, all)); (err == nil) != c.taken {
			t.Errorf("%+v: %v", c, err)
		}
		for i, s := range all {
			if posts := s.got(); len(posts) != c.asked[i] || (len(posts) > 0 && posts[0].path != "/v1/outcome") {
				t.Errorf("%+v: server %d got %d posts", c, i+1, len(posts))
			}
		}
	}
}

func TestWhatIsNoAcknowledgementOfAnOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range noAnswers(t) {
		s := newServer(t, newKey(t))
		s.answer = append(s.answer, c.bad(s))
		// That unsigned acknowledgements of reports are taken changes nothing for outcomes.
		a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url, Key: &s.key.PublicKey, Outcome: true, UnsignedAck: true}}})
		must(t, err)
		if a.Outcome(context.Background(), outcomeOf(t, []*server{s})) == nil {
			t.Errorf("%s: taken for an acknowledgement", name)
		}
	}
}

func TestUnsignedAcknowledgements(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for _, c := range []struct {
		code  int
		body  string
		taken bool
	}{
		{200, `{"status":"0"}`, true},
		{200, `{"status":"0","error":"","data":null,"signature":""}`, true},
		{200, `{"status":"0","signature":null,"more":1}`, true},
		{200, `{"status":"0","signature":"00"}`, false}, // signed wrongly
		{200, `{"status":"0","signature":1}`, false},
		{200, `{"status":"1"}`, false},
		{200, `{"status":0}`, false},
		{200, `{"status":"0","status":"0"}`, false},
		{200, `{"STATUS":"0"}`, false},
		{200, `{"status":"0"} x`, false},
		{200, `["0"]`, false},
		{200, ``, false},
		{201, `{"status":"0"}`, false},
		{404, `{"status":"0"}`, false},
	} {
		s := newServer(t, node, func(w http.ResponseWriter, _ *wire.Request) {
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		})
		for _, unsigned := range []bool{true, false} {
			a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url, Key: &s.key.PublicKey, UnsignedAck: unsigned}}})
			must(t, err)
			if err := a.Report(context.Background(), question(t, node, "")); (err == nil) != (c.taken && unsigned) {
				t.Errorf("%d %s, unsigned-ack %v: %v", c.code, c.body, unsigned, err)
			}
			if got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), nil); err == nil {
				t.Errorf("%d %s decided %v", c.code, c.body, got)
			}
		}
	}
	// A signed acknowledgement counts as ever.
	var s *server
	s = newServer(t, node, say(&s, wire.Approve, nil))
	a, err := asking.New(asking.Config{Servers: []asking.Server{{Address: s.url, Key: &s.key.PublicKey, UnsignedAck: true}}})
	must(t, err)
	must(t, a.Report(context.Background(), question(t, node, "")))
}
