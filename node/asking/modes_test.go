package asking_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// servers makes one server for each action; "" is one that is down.
func servers(t testing.TB, actions ...wire.Action) (all []*server, ask func() asking.Question) {
	t.Helper()
	node := newKey(t)
	for i, action := range actions {
		var s *server
		if action == "" {
			s = newServer(t, node, status(http.StatusServiceUnavailable, ""))
		} else {
			s = newServer(t, node)
			s.answer = append(s.answer, say(&s, action, func(d *wire.ResponseData) {
				if action == wire.Wait {
					d.WaitTime = wire.WaitSeconds(time.Duration(i+1) * time.Minute)
				}
			}))
		}
		all = append(all, s)
	}
	return all, func() asking.Question { return question(t, node, wire.TypeSign) }
}

func TestAllMustApprove(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		servers []wire.Action
		want    wire.Action
		wait    time.Duration
		asked   int // of the servers
	}{
		{[]wire.Action{wire.Approve, wire.Approve}, wire.Approve, 0, 2},
		{[]wire.Action{wire.Approve, wire.Wait}, wire.Wait, 2 * time.Minute, 2},
		{[]wire.Action{wire.Wait, wire.Approve}, wire.Wait, time.Minute, 2},
		{[]wire.Action{wire.Wait, wire.Wait, wire.Approve}, wire.Wait, 2 * time.Minute, 3},
		{[]wire.Action{wire.Approve, wire.Reject}, wire.Reject, 0, 2},
		{[]wire.Action{wire.Wait, wire.Reject}, wire.Reject, 0, 2},
		{[]wire.Action{wire.Reject, wire.Approve}, wire.Reject, 0, 1},
		{[]wire.Action{wire.Approve, wire.Approve, wire.Reject}, wire.Reject, 0, 3},
	} {
		all, ask := servers(t, c.servers...)
		a, _ := newAsker(t, asking.ModeAll, 0, all...)
		got, err := a.Check(context.Background(), ask(), nil)
		asked := 0
		for _, s := range all {
			asked += len(s.got())
		}
		approved := slices.Contains(c.servers[:c.asked], wire.Approve)
		if err != nil || got.Action != c.want || got.Wait != c.wait || asked != c.asked || got.Approved != approved {
			t.Errorf("%v: %+v of %d servers (%v)", c.servers, got, asked, err)
		}
	}
	for _, down := range [][]wire.Action{{"", wire.Approve}, {wire.Approve, ""}, {wire.Wait, ""}} {
		all, ask := servers(t, down...)
		a, _ := newAsker(t, asking.ModeAll, 1, all...)
		if got, err := a.Check(context.Background(), ask(), nil); err == nil || got.Action != "" {
			t.Errorf("%v: %+v", down, got)
		}
	}
}

func TestTheFirstThatAnswersDecides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		servers []wire.Action
		want    wire.Action
		asked   []int
	}{
		{[]wire.Action{wire.Approve, wire.Reject}, wire.Approve, []int{1, 0}},
		{[]wire.Action{"", wire.Approve}, wire.Approve, []int{1, 1}},
		{[]wire.Action{"", "", wire.Wait, wire.Approve}, wire.Wait, []int{1, 1, 1, 0}},
		{[]wire.Action{wire.Reject, wire.Approve}, wire.Reject, []int{1, 0}},
	} {
		all, ask := servers(t, c.servers...)
		a, p := newAsker(t, asking.ModeFirst, 0, all...)
		got, err := a.Check(context.Background(), ask(), nil)
		if err != nil || got.Action != c.want || len(p.all) != 0 {
			t.Errorf("%v: %+v (%v)", c.servers, got, err)
		}
		for i, s := range all {
			if len(s.got()) != c.asked[i] {
				t.Errorf("%v: server %d was asked %d times", c.servers, i+1, len(s.got()))
			}
		}
	}
	all, ask := servers(t, "", "")
	a, p := newAsker(t, asking.ModeFirst, 2, all...)
	_, err := a.Check(context.Background(), ask(), nil)
	var unanswered *asking.UnansweredError
	if !errors.As(err, &unanswered) || len(p.all) != 2 || len(all[0].got()) != 3 || len(all[1].got()) != 3 {
		t.Errorf("%v after %d pauses", err, len(p.all))
	}
}

// TestAReplicaThatHangs: it takes the connection and never answers. What is asked, and what is reported, goes to the next one
// without waiting for its time-out.
func TestAReplicaThatHangs(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	let := make(chan struct{})
	hung := newServer(t, node, func(http.ResponseWriter, *wire.Request) { <-let })
	letGo := sync.OnceFunc(func() { close(let) })
	t.Cleanup(letGo) // before its server is closed
	fine := newServer(t, node)
	fine.answer = append(fine.answer, say(&fine, wire.Approve, nil))
	cfg := asking.Config{Mode: asking.ModeFirst, Timeout: time.Hour, HeadStart: time.Millisecond}
	for _, s := range []*server{hung, hung, fine} {
		cfg.Servers = append(cfg.Servers, asking.Server{Address: s.url, Key: &s.key.PublicKey, Outcome: true})
	}
	a, err := asking.New(cfg)
	must(t, err)
	var tries []asking.Try
	got, err := a.Check(context.Background(), question(t, node, wire.TypeSign), func(try asking.Try) { tries = append(tries, try) })
	if err != nil || got.Action != wire.Approve || len(tries) != 1 || tries[0].Err != nil {
		t.Errorf("%+v (%v) after %+v", got, err, tries)
	}
	must(t, a.Report(context.Background(), question(t, node, "")))

	ctx, cancel := context.WithCancel(context.Background()) // all hang: it ends with the context
	other := newServer(t, node, func(http.ResponseWriter, *wire.Request) { <-let })
	t.Cleanup(letGo)
	cfg.Servers = []asking.Server{{Address: other.url, Key: &other.key.PublicKey}, cfg.Servers[0]}
	a, err = asking.New(cfg)
	must(t, err)
	go func() {
		for len(other.got()) == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	if got, err := a.Check(ctx, question(t, node, wire.TypeSign), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v (%v)", got, err)
	}
	if err := a.Report(ctx, question(t, node, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("a report after the end: %v", err)
	}
}

func TestTheOldestReplyTellsTheAge(t *testing.T) {
	t.Parallel()
	all, ask := servers(t, wire.Approve, "", wire.Approve)
	all[1].answer = append(all[1].answer, say(&all[1], wire.Approve, nil)) // the second one is late
	now := time.Now()
	cfg := asking.Config{RetryTimes: 3, Sleep: time.Hour, Clock: func() time.Time { return now },
		Pause: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }}
	for _, s := range all {
		cfg.Servers = append(cfg.Servers, asking.Server{Address: s.url, Key: &s.key.PublicKey})
	}
	a, err := asking.New(cfg)
	must(t, err)
	if got, err := a.Check(context.Background(), ask(), nil); err != nil || got.Action != wire.Approve || got.Age != time.Hour {
		t.Fatalf("%+v (%v)", got, err)
	}
	cfg.Mode = asking.ModeFirst
	a, err = asking.New(cfg)
	must(t, err)
	if got, err := a.Check(context.Background(), ask(), nil); err != nil || got.Age != 0 {
		t.Fatalf("%+v (%v)", got, err)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	for _, c := range []struct {
		mode    asking.Mode
		servers []wire.Action
		taken   bool
		asked   []int
	}{
		{asking.ModeAll, []wire.Action{wire.Approve}, true, []int{1}},
		{asking.ModeAll, []wire.Action{wire.Reject}, true, []int{1}}, // acknowledged, whatever its action
		{asking.ModeAll, []wire.Action{wire.Wait, wire.Approve}, true, []int{1, 1}},
		{asking.ModeAll, []wire.Action{wire.Approve, ""}, false, []int{1, 1}},
		{asking.ModeAll, []wire.Action{"", wire.Approve}, false, []int{1, 1}},
		{asking.ModeFirst, []wire.Action{"", wire.Approve}, true, []int{1, 1}},
		{asking.ModeFirst, []wire.Action{wire.Approve, ""}, true, []int{1, 0}},
		{asking.ModeFirst, []wire.Action{"", ""}, false, []int{1, 1}},
	} {
		all, _ := servers(t, c.servers...)
		for _, s := range all {
			s.node = &node.PublicKey
		}
		a, p := newAsker(t, c.mode, 5, all...)
		err := a.Report(context.Background(), question(t, node, ""))
		if (err == nil) != c.taken || len(p.all) != 0 {
			t.Errorf("%v, mode %s: %v", c.servers, c.mode, err)
		}
		for i, s := range all {
			if posts := s.got(); len(posts) != c.asked[i] || (len(posts) > 0 && posts[0].path != "/v1/rawdata_signature") {
				t.Errorf("%v, mode %s: server %d got %d posts", c.servers, c.mode, i+1, len(posts))
			}
		}
	}
}

func TestAReportThatCannotBeDecrypted(t *testing.T) {
	t.Parallel()
	node := newKey(t)
	s := newServer(t, node, status(400, `{"status":"501","error":"decryption failed"}`))
	a, _ := newAsker(t, asking.ModeAll, 0, s)
	err := a.Report(context.Background(), question(t, node, ""))
	var reply *wire.ReplyError
	if !errors.As(err, &reply) || !reply.DecryptFailed() {
		t.Fatalf("%v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key := &newKey(t).PublicKey
	good := asking.Server{Address: "http://127.0.0.1:9090", Key: key}
	for name, cfg := range map[string]asking.Config{
		"no server":        {},
		"no key":           {Servers: []asking.Server{{Address: good.Address}}},
		"no address":       {Servers: []asking.Server{{Key: key}}},
		"another scheme":   {Servers: []asking.Server{{Address: "ftp://host", Key: key}}},
		"a password":       {Servers: []asking.Server{{Address: "http://u:p@host", Key: key}}},
		"a query":          {Servers: []asking.Server{{Address: "http://host/check?x", Key: key}}},
		"unknown mode":     {Servers: []asking.Server{good}, Mode: "any"},
		"negative retries": {Servers: []asking.Server{good}, RetryTimes: -1},
		"negative pause":   {Servers: []asking.Server{good}, Sleep: -1},
	} {
		if _, err := asking.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := asking.New(asking.Config{Servers: []asking.Server{good}}); err != nil {
		t.Error(err)
	}
}
