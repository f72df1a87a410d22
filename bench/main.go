package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/internal/heap"
	"github.com/countersign-mpc/countersign/internal/processors"
	"github.com/countersign-mpc/countersign/policy/prover"
	"github.com/countersign-mpc/countersign/wire"
)

// asServer is in the environment of a process that is to be a server, so that a test binary can be one too.
const asServer = "COUNTERSIGN_BENCH_SERVER"

// options are the command line.
type options struct {
	requests    int           // signed beforehand
	seconds     time.Duration // of each measurement
	connections int
	log         int    // decisions in the log where heap and start are measured
	dir         string // where the servers keep their files
	profile     string // where the durable server writes its CPU profile; "": none
	mode        string // of a server; "": measure
}

func main() {
	var o options
	flag.IntVar(&o.requests, "requests", 24_000, "requests to sign beforehand")
	flag.DurationVar(&o.seconds, "time", 5*time.Second, "how long each measurement takes at most")
	flag.IntVar(&o.connections, "connections", 16, "keep-alive connections")
	flag.IntVar(&o.log, "log", 20_000, "decisions in the log where heap and start are measured, such as 1000000")
	flag.StringVar(&o.dir, "dir", "", "folder for the servers' files (default: a temporary one, removed at the end)")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the durable server to this file")
	flag.StringVar(&o.mode, "serve", "", "be a server under test (used by this program itself)")
	flag.Parse()
	if err := o.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o *options) run(w io.Writer) (err error) {
	if o.mode != "" {
		if o.mode == modeProver {
			return prover.Serve(context.Background(), os.Stdin, os.Stdout)
		}
		heap.Tune(os.Getenv("GOGC")) // as cmd/callback does, for every mode alike
		processors.Tune(os.Getenv("GOMAXPROCS"))
		return serve(o.mode, o.dir, os.Stdin, os.Stdout)
	}
	if o.requests < 1 || o.connections < 1 || o.seconds <= 0 || o.log < 0 {
		return errors.New("-requests, -connections and -time have to be above zero, and -log not below")
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "countersign-bench-*"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	b := &bench{options: *o, out: w}
	if err := b.prepare(); err != nil {
		return err
	}
	return b.measure()
}

// bench is one run over all measurements.
type bench struct {
	options
	out      io.Writer
	signed   [][]byte
	approver *ecdsa.PrivateKey
	data     []byte // data.json, with anyMark in it
	rows     []summary
}

// prepare writes the servers' files and signs the requests.
func (b *bench) prepare() error {
	node, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	reply, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if b.approver, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	public, err := wire.MarshalPublicKey(&node.PublicKey)
	if err != nil {
		return err
	}
	private, err := wire.MarshalPrivateKey(reply)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{nodeKeyFile: public, replyKeyFile: private} {
		if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	if b.data, err = policyData(&b.approver.PublicKey, anyMark); err != nil {
		return err
	}
	if err := b.writeData("first"); err != nil {
		return err
	}
	begin := time.Now()
	if b.signed, err = signRequests(node, b.requests); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%d requests of %d bytes signed in %.1f s; %d connections; up to %v each\n",
		len(b.signed), len(b.signed[0]), time.Since(begin).Seconds(), b.connections, b.seconds)
	return nil
}

// writeData writes a data.json that differs from others by its mark. It takes little CPU: requests are sent beside it.
func (b *bench) writeData(mark string) error {
	return os.WriteFile(filepath.Join(b.dir, dataFile), bytes.ReplaceAll(b.data, []byte(anyMark), []byte(mark)), 0o600)
}

// load is one over this run's requests, which are used up in their order where they may not be repeated.
func (b *bench) load(p *process, next *atomic.Int64, repeat bool) *load {
	return &load{
		address: p.address, connections: b.connections, requests: b.signed, next: next, repeat: repeat, want: []byte(`"action":"Approve"`),
	}
}

// share is one part of n of the requests.
func (b *bench) share(n int) int { return max(1, len(b.signed)/n) }

// calm is the share of the measured maximum at which latencies are looked at, in per cent.
const calm = 60

// afterwards measures latencies below the maximum, alone and beside a reload of the policy.
func (b *bench) afterwards(p *process, next *atomic.Int64, maximum summary) error {
	l := b.load(p, next, false)
	l.rate = maximum.perSecond * calm / 100
	l.requests = b.signed[:int(next.Load())+(len(b.signed)-int(next.Load()))/2]
	row, err := p.measured(l, fmt.Sprintf("durable, at %d %% of that", calm), b.seconds)
	if err != nil {
		return err
	}
	b.rows = append(b.rows, summarise(row))
	next.Store(int64(len(l.requests)))
	l.requests = b.signed
	var reloads []time.Duration
	running, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		reloads, err = b.reloads(p, running)
		ended <- err
	}()
	s, err := l.run(b.seconds)
	close(running)
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	slices.Sort(reloads)
	s.name = fmt.Sprintf("the same, beside reloads (%d of %s)", len(reloads), milliseconds(percentile(reloads, 50)))
	b.rows = append(b.rows, summarise(s))
	return nil
}

// reloads loads one policy after the other, each with other data, until running is closed; at least one.
func (b *bench) reloads(p *process, running <-chan struct{}) (took []time.Duration, err error) {
	for n := 1; ; n++ {
		if err := b.writeData(fmt.Sprint("reload ", n)); err != nil {
			return nil, err
		}
		d, err := p.number("reload")
		if err != nil {
			return nil, err
		}
		took = append(took, time.Duration(d))
		select {
		case <-running:
			return took, nil
		default:
		}
	}
}

// longLog measures start, heap and latencies of a server with many decisions in its log.
func (b *bench) longLog(maximum summary) (err error) {
	if err := b.removeLedger(); err != nil {
		return err
	}
	begin := time.Now()
	if err := fill(context.Background(), b.dir, b.log); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	filled := time.Since(begin)
	info, err := os.Stat(filepath.Join(b.dir, ledgerFile))
	if err != nil {
		return err
	}
	p, err := start(modeDurable, b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var next atomic.Int64
	l := b.load(p, &next, false)
	l.requests = b.signed[:b.share(warmUp)]
	if _, err := l.run(b.seconds); err != nil {
		return err
	}
	next.Store(int64(len(l.requests)))
	l.requests, l.rate = b.signed, maximum.perSecond*calm/100
	measured, err := p.measured(l, fmt.Sprintf("durable, at %d %%, %d before", calm, b.log), b.seconds)
	if err != nil {
		return err
	}
	row := summarise(measured)
	alive, err := p.number("heap")
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "with %d decisions in the log (%s, filled in %.0f s): start %.0f ms, heap %s after %d more, p50 %s and p99 %s at the same rate\n",
		b.log, megabytes(uint64(info.Size())), filled.Seconds(), p.started.Seconds()*1e3, megabytes(alive), b.share(warmUp)+row.requests,
		milliseconds(row.p50), milliseconds(row.p99))
	return nil
}
