package prover_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/prover"
	"github.com/countersign-mpc/countersign/rego"
)

// These are in the environment of this test's own program where it is to be one that proves, in one of several ways.
const (
	modeVariable = "PROVER_TEST_MODE"
	callVariable = "PROVER_TEST_CALL" // a socket that it calls once it runs
)

func TestMain(m *testing.M) {
	mode := os.Getenv(modeVariable)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := child(mode); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

// answers are what programs write that answer in their own way, made of the right answer.
var answers = map[string]func(right string) string{
	"silent":           func(string) string { return "" },
	"short":            func(right string) string { return right[:len(right)/2] },
	"without its end":  func(right string) string { return strings.TrimSpace(right) },
	"twice":            func(right string) string { return right + right },
	"long":             func(right string) string { return right + strings.Repeat(" ", 2<<20) },
	"of another form":  func(right string) string { return strings.Replace(right, "proof/v1", "proof/v2", 1) },
	"with a new field": func(right string) string { return strings.Replace(right, "{", `{"new":1,`, 1) },
	"of other bytes":   func(right string) string { return replaced(right, `"archive":"`, 64) },
	"of no test":       func(right string) string { return strings.Replace(right, `"passed":1,`, `"passed":0,`, 1) },
	"of a revision":    func(right string) string { return replaced(right, `"revision":"`, 64) },
	"of no revision":   func(right string) string { return replaced(right, `"revision":"`, 0) },
}

// replaced puts zeros in the place of a text that follows another one.
func replaced(s, behind string, n int) string {
	head, tail, found := strings.Cut(s, behind)
	if !found {
		panic(behind + " is not in " + s)
	}
	_, tail, _ = strings.Cut(tail, `"`)
	return head + behind + strings.Repeat("0", n) + `"` + tail
}

func child(mode string) error {
	switch mode {
	case "serve":
		return prover.Serve(context.Background(), os.Stdin, os.Stdout)
	case "killed":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "hanging":
		c, err := net.Dial("unix", os.Getenv(callVariable))
		if err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1)) // nobody writes
		return err
	case "failing":
		if err := prover.Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			return err
		}
		return errors.New("failed behind the answer")
	case "starved":
		if os.Getenv("COUNTERSIGN_PROVER_IDLE") == "" {
			return prover.Serve(context.Background(), os.Stdin, os.Stdout)
		}
		r, _, err := os.Pipe()
		if err != nil {
			return err
		}
		_, err = r.Read(make([]byte, 1)) // nobody writes
		return err
	case "polite", "idle":
		return polite(mode)
	}
	var out bytes.Buffer
	if err := prover.Serve(context.Background(), os.Stdin, &out); err != nil {
		return err
	}
	_, err := io.WriteString(os.Stdout, answers[mode](out.String()))
	return err
}

func newProver(t *testing.T, mode string, cfg prover.Config) *prover.Prover {
	t.Helper()
	cfg.Args, cfg.Env = []string{"prove"}, append(cfg.Env, modeVariable+"="+mode)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p, err := prover.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noChild(t) })
	return p
}

// noChild fails where this process has a child, be it one that has ended and nobody waited for.
func noChild(t *testing.T) {
	t.Helper()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("a process is left over: %d, %v", pid, err)
	}
}

// small is a policy with one test.
func small(t *testing.T) *policy.Source {
	t.Helper()
	s, err := policy.SourceOf(map[string][]byte{
		"main.rego": []byte(`package countersign

decision := {"allow": allow, "reject": set(), "wait": set(), "require": set()}

# METADATA
# title: small
# labels:
#   id: small.rule
allow contains {"id": "small.rule", "message": "it is small"} if input.request.request_type == "sign"
`),
		"main_test.rego": []byte(`package countersign.main_test

import data.countersign

test_empty if count(countersign.decision.reject) == 0
`),
		"data.json": []byte(`{"format": "countersign/policy-data/v1"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProves(t *testing.T) {
	s, err := policy.Load(rego.FS(), "")
	if err != nil {
		t.Fatal(err)
	}
	null := small(t)
	also(null, "nothing if input.tx == null") // what OPA's types refuse, and the linter lets pass
	for name, s := range map[string]*policy.Source{"shipped": s, "small": small(t), "null": null} {
		want, err := s.Revision()
		if err != nil {
			t.Fatal(err)
		}
		got, err := newProver(t, "serve", prover.Config{}).Prove(t.Context(), s)
		if err != nil || got.Revision != want || got.Passed < 1 {
			t.Errorf("%s: %+v, %v: want revision %s", name, got, err, want)
		}
	}
}

// also adds to the module that decides.
func also(s *policy.Source, rule string) {
	s.Modules["main.rego"] = append(s.Modules["main.rego"], "\n"+rule+"\n"...)
}

// spoilt are policies that do not pass.
func spoilt(t *testing.T) map[string]*policy.Source {
	all := map[string]*policy.Source{}
	for name, spoil := range map[string]func(s *policy.Source){
		"test": func(s *policy.Source) {
			s.Modules["x_test.rego"] = []byte("package countersign.x_test\n\ntest_x if false\n")
		},
		"no test": func(s *policy.Source) { delete(s.Modules, "main_test.rego") },
		"lint":    func(s *policy.Source) { s.Modules["gt.rego"] = []byte("package countersign.gt\n\ngt := 1\n") },
		"compile": func(s *policy.Source) { s.Modules["x.rego"] = []byte("package countersign.x\n\nx := y\n") },
		"parse":   func(s *policy.Source) { s.Modules["x.rego"] = []byte("package") },
		"data":    func(s *policy.Source) { s.Data = []byte(`{"format": "other"}`) },
		"type":    func(s *policy.Source) { also(s, `odd if {"amount": "5"} = input.tx`) },
		"id": func(s *policy.Source) {
			s.Modules["main.rego"] = bytes.Replace(s.Modules["main.rego"], []byte("id: small"), []byte("id: Small"), 1)
		},
		"alone": func(s *policy.Source) { // it compiles only with its tests
			also(s, "odd := data.countersign.helper.f(1)")
			s.Modules["helper_test.rego"] = []byte("package countersign.helper\n\nf(x) := x\n")
		},
	} {
		s := small(t)
		spoil(s)
		all[name] = s
	}
	return all
}

// TestRefuses: the process says of a policy what New says of it.
func TestRefuses(t *testing.T) {
	for name, s := range spoilt(t) {
		_, want := policy.New(t.Context(), policy.Config{Source: s})
		_, got := newProver(t, "serve", prover.Config{}).Prove(t.Context(), s)
		if want == nil || got == nil || got.Error() != want.Error() {
			t.Errorf("%s: the process says\n%v\nand New\n%v", name, got, want)
		}
	}
}

// live is a small policy that decides, and what its next one is read as.
func live(t *testing.T, p policy.Prover) (*policy.Live, **policy.Source) {
	t.Helper()
	next := small(t)
	l, err := policy.NewLive(t.Context(), policy.LiveConfig{Prover: p, Read: func() (*policy.Source, error) { return next, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return l, &next
}

// changed is another policy that passes.
func changed(t *testing.T) *policy.Source {
	t.Helper()
	s := small(t)
	s.Data = []byte(`{"format": "countersign/policy-data/v1", "custom": {"mark": "changed"}}`)
	return s
}

func TestReload(t *testing.T) {
	for name, p := range map[string]*prover.Prover{
		"process":    newProver(t, "serve", prover.Config{}),
		"no program": newProver(t, "serve", prover.Config{Program: filepath.Join(t.TempDir(), "gone")}),
	} {
		l, next := live(t, p)
		first := l.Engine()
		for what, s := range spoilt(t) {
			*next = s
			if _, err := l.Reload(t.Context()); err == nil || l.Engine() != first {
				t.Errorf("%s: a policy with a spoilt %s is live: %v", name, what, err)
			}
		}
		*next = changed(t)
		second, err := l.Reload(t.Context())
		if err != nil || l.Engine() != second || second.Revision() == first.Revision() {
			t.Errorf("%s: a policy that passes is not live: %v", name, err)
		}
	}
}

// TestNothingUnprovenGoesLive: a policy that passes stays out where the process does not say so as it should.
func TestNothingUnprovenGoesLive(t *testing.T) {
	modes := []string{"killed", "failing"}
	for mode := range answers {
		modes = append(modes, mode)
	}
	for _, mode := range modes {
		l, next := live(t, newProver(t, mode, prover.Config{}))
		first := l.Engine()
		*next = changed(t)
		if _, err := l.Reload(t.Context()); err == nil || l.Engine() != first {
			t.Errorf("%s: the policy went live: %v", mode, err)
		}
	}
}

// hanging is a prover whose process does nothing, and how to wait until that runs.
func hanging(t *testing.T, timeout time.Duration) (p *prover.Prover, runs func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	calls, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { calls.Close() })
	p = newProver(t, "hanging", prover.Config{Timeout: timeout, Env: []string{callVariable + "=" + path}})
	return p, func() {
		c, err := calls.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { c.Close() })
	}
}

func TestHanging(t *testing.T) {
	p, _ := hanging(t, time.Millisecond)
	l, next := live(t, p)
	first := l.Engine()
	*next = changed(t)
	if _, err := l.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than 1ms") || l.Engine() != first {
		t.Errorf("the error is %v", err)
	}
}

// TestStarved: where a process that runs only where nobody else does comes to no end, another one does.
func TestStarved(t *testing.T) {
	s := small(t)
	want, err := s.Revision()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newProver(t, "starved", prover.Config{Patience: 20 * time.Millisecond}).Prove(t.Context(), s); err != nil || got.Revision != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCancelled(t *testing.T) {
	p, runs := hanging(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := p.Prove(ctx, small(t))
		ended <- err
	}()
	runs()
	waiting, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.Prove(waiting, small(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("who waits for its turn and leaves is told %v", err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	noChild(t)
}

// TestNoProgram: it is said that nothing was tested.
func TestNoProgram(t *testing.T) {
	var log bytes.Buffer
	p := newProver(t, "serve", prover.Config{Program: filepath.Join(t.TempDir(), "gone"), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := p.Prove(t.Context(), small(t)); !errors.Is(err, policy.ErrNoProver) {
		t.Errorf("the error is %v", err)
	}
	if !strings.Contains(log.String(), "no process can be started") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestConfig(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, cfg := range map[string]prover.Config{
		"arguments": {Log: log}, "log": {Args: []string{"x"}}, "time-out": {Args: []string{"x"}, Log: log, Timeout: -1},
		"patience": {Args: []string{"x"}, Log: log, Patience: -1},
	} {
		if _, err := prover.New(cfg); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
