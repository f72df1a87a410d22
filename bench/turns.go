package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
)

const (
	// warmUp is how many requests come before a measurement, as a part of all.
	warmUp = 10
	// turns is how often each server is loaded for a part of the time, after the others: what the machine does beside them then
	// comes to each alike.
	turns = 5
)

// contender is a server that is measured in turn with others.
type contender struct {
	*process
	load  *load
	first int // of its requests, of those that may not be repeated
	sum   sample
}

// measure runs all servers in turns, then what is measured of the durable one alone, and at the end one over a long log.
func (b *bench) measure() error {
	rows, err := b.sideBySide()
	if err != nil {
		return err
	}
	if err := printTable(b.out, append(rows, b.rows...)); err != nil {
		return err
	}
	envelope, decision := rows[1], rows[3] // as sideBySide has them
	if b.log > 0 {
		if err := b.longLog(decision); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(b.out, "cpu-ratio %.2f\n", ratio(envelope, decision))
	return err
}

// sideBySide measures the four servers, and ends them: the floor, the envelope, and decisions without and with the log.
func (b *bench) sideBySide() (rows []summary, err error) {
	if err := b.removeLedger(); err != nil {
		return nil, err
	}
	var all []*contender
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.stop())
		}
	}()
	for _, s := range []struct{ mode, name string }{
		{modeFloor, "plain HTTP floor"}, {modeEnvelope, "envelope only"}, {modeForgetful, "full decision, nothing kept"}, {modeDurable, "full decision, durable log"},
	} {
		c, err := b.contender(s.mode, s.name)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	durable := all[len(all)-1]
	if err := b.inTurns(all, durable); err != nil {
		return nil, err
	}
	for _, c := range all {
		rows = append(rows, summarise(c.sum))
	}
	durable.load.next.Store(int64(len(durable.load.requests)))
	return rows, b.afterwards(durable.process, durable.load.next, rows[len(rows)-1])
}

func (b *bench) removeLedger() error {
	err := os.Remove(filepath.Join(b.dir, ledgerFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// contender starts a server, and asks it as much as it needs to have warmed up.
func (b *bench) contender(mode, name string) (*contender, error) {
	p, err := start(mode, b.dir)
	if err != nil {
		return nil, err
	}
	repeat := mode == modeFloor || mode == modeEnvelope // they may be asked the same again
	c := &contender{process: p, load: b.load(p, new(atomic.Int64), repeat), sum: sample{name: name}}
	c.load.requests = b.signed[:b.share(warmUp)]
	forLong := b.seconds
	if repeat {
		forLong /= warmUp
	}
	if _, err := c.load.run(forLong); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	c.first = len(c.load.requests)
	return c, nil
}

// inTurns measures the servers, each for a part of the time after the other. Where a profile is asked for, it is one of the durable
// server, and of nothing else that it does.
func (b *bench) inTurns(all []*contender, durable *contender) error {
	if b.profile != "" {
		if _, err := durable.tell("profile " + b.profile); err != nil {
			return err
		}
	}
	for turn := range turns {
		for _, c := range all {
			b.limit(c, turn)
			s, err := c.measured(c.load, c.sum.name, b.seconds/turns)
			if err != nil {
				return err
			}
			c.sum.add(s)
		}
	}
	if b.profile != "" {
		if _, err := durable.tell("profiled"); err != nil {
			return err
		}
	}
	return nil
}

// add puts a further run of the same to a sample.
func (s *sample) add(o sample) {
	s.latencies = append(s.latencies, o.latencies...)
	s.elapsed, s.cpu, s.bytes, s.lost = s.elapsed+o.elapsed, s.cpu+o.cpu, s.bytes+o.bytes, s.lost+o.lost
}

// limit gives a contender the requests of a turn: all of them, or the same number in each turn.
func (b *bench) limit(c *contender, turn int) {
	if c.load.requests = b.signed; c.load.repeat {
		return
	}
	part := max(1, (len(b.signed)/2-c.first)/turns) // the other half is for what comes after
	c.load.next.Store(int64(c.first + turn*part))
	c.load.requests = b.signed[:c.first+(turn+1)*part]
}
