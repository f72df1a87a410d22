package prover

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/policy"
)

// DefaultTimeout bounds one proof. It takes about a second of CPU, and much longer where requests leave little of that.
const DefaultTimeout = 5 * time.Minute

// DefaultPatience is how long a process has that runs only where nobody else needs a core. It takes two to four seconds of it beside a
// server at 60 % of what that can do; beside one at its limit it would take minutes.
const DefaultPatience = 5 * time.Second

// killDelay is how long a process that was killed may hold its pipes.
const killDelay = 2 * time.Second

// Config is what New needs.
type Config struct {
	Args    []string      // the arguments by which this program calls Serve, and does nothing else
	Env     []string      // all of the process's environment, beside what Go's runtime is told
	Log     *slog.Logger  // where a process that cannot be started is told of
	Timeout time.Duration // 0: DefaultTimeout
	// Patience is after how long a process that gets no core is ended, and one started that gets its small share of them; 0: DefaultPatience.
	Patience time.Duration
	Program  string // "": this program as it runs, also when its file was replaced since
}

func (c Config) validate() error {
	switch {
	case len(c.Args) == 0:
		return errors.New("nothing tells this program that it is to test a policy")
	case c.Log == nil:
		return errors.New("no log is given")
	case c.Timeout < 0:
		return fmt.Errorf("the time-out %v is negative", c.Timeout)
	case c.Patience < 0:
		return fmt.Errorf("the patience %v is negative", c.Patience)
	}
	return nil
}

// Prover proves one policy at a time; others wait. Safe for concurrent use.
type Prover struct {
	cfg  Config
	turn chan struct{} // holds a value while a process runs
}

var _ policy.Prover = (*Prover)(nil)

// New checks the configuration. Nothing is started yet.
func New(cfg Config) (*Prover, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("prover: %w", err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Patience == 0 {
		cfg.Patience = DefaultPatience
	}
	if cfg.Program == "" {
		program, err := self()
		if err != nil {
			return nil, fmt.Errorf("prover: %w", err)
		}
		cfg.Program = program
	}
	return &Prover{cfg: cfg, turn: make(chan struct{}, 1)}, nil
}

// Prove implements policy.Prover. It returns after the process has ended; when ctx ends, that is killed.
func (p *Prover) Prove(ctx context.Context, s *policy.Source) (policy.Proof, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return policy.Proof{}, ctx.Err()
	}
	archive := s.Archive()
	limited, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	out, err := p.patiently(limited, archive)
	switch {
	case errors.Is(err, policy.ErrNoProver):
		p.cfg.Log.WarnContext(ctx, "no process can be started to test the policy; it is tested beside the requests, which may wait", "error", err)
		return policy.Proof{}, err
	case ctx.Err() != nil:
		return policy.Proof{}, ctx.Err()
	case limited.Err() != nil:
		return policy.Proof{}, fmt.Errorf("the process that tests the policy took longer than %v", p.cfg.Timeout)
	case err != nil:
		return policy.Proof{}, err
	}
	return readAnswer(out, sha256.Sum256(archive))
}

// patiently tries it with a process that holds up nobody, and then with one that comes through also where all cores are busy. Who runs
// only where nobody else does cannot change that by itself, without a privilege.
func (p *Prover) patiently(ctx context.Context, archive []byte) ([]byte, error) {
	idle, cancel := context.WithTimeout(ctx, p.cfg.Patience)
	defer cancel()
	out, err := p.run(idle, archive, idleVariable+"=1")
	if err == nil || idle.Err() == nil || ctx.Err() != nil {
		return out, err
	}
	return p.run(ctx, archive)
}

// idleVariable is in the environment of a process that is to run only where nobody else needs a core.
const idleVariable = "COUNTERSIGN_PROVER_IDLE"

// run gives the archive to a process and returns what that says.
func (p *Prover) run(ctx context.Context, archive []byte, more ...string) ([]byte, error) {
	out, faults := &bounded{most: maxAnswer}, &bounded{most: maxFault}
	cmd := exec.CommandContext(ctx, p.cfg.Program, p.cfg.Args...)
	cmd.Args[0] = os.Args[0] // a program may be several, by its name
	// With Go's own GOGC it takes a sixth more of CPU.
	cmd.Env = slices.Concat([]string{"GOMAXPROCS=1", "GOGC=400"}, p.cfg.Env, more)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(archive), out, faults
	cmd.WaitDelay = killDelay
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %v", policy.ErrNoProver, err)
	}
	if err := cmd.Wait(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(faults.String()), "\n")
		return nil, fmt.Errorf("the process that tests the policy failed: %w: %q", err, line)
	}
	if out.over {
		return nil, fmt.Errorf("the process that tests the policy said more than %d bytes", maxAnswer)
	}
	return out.Bytes(), nil
}

// bounded keeps the beginning of what is written, and takes the rest, so that who writes is not held up.
type bounded struct {
	bytes.Buffer
	most int
	over bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.Len()
	if len(p) > room {
		b.over = true
		b.Buffer.Write(p[:room])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
