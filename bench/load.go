package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load sends requests over keep-alive connections, each request once unless they may be repeated.
type load struct {
	address     string
	connections int
	requests    [][]byte
	next        *atomic.Int64 // of the requests, over all loads of a server
	repeat      bool          // begin again behind the last
	want        []byte        // what a right answer holds
	rate        float64       // requests a second, evenly spread; 0: as fast as answers come
}

// answerTimeout is when a request counts as lost.
const answerTimeout = 10 * time.Second

// run sends for as long as given, or until the requests are used up. Where a rate is set, a latency counts from the
// moment at which the request was due, so that a server that holds things up is not spared the requests behind.
func (l *load) run(forLong time.Duration) (sample, error) {
	connections := make([]net.Conn, l.connections)
	for i := range connections { // before the first request is due
		c, err := net.Dial("tcp", l.address)
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		connections[i] = c
	}
	begin := time.Now()
	due := l.schedule(begin)
	results := make([]sample, l.connections)
	errs := make([]error, l.connections)
	var wg sync.WaitGroup
	for i, c := range connections {
		wg.Go(func() { results[i], errs[i] = l.connection(c, begin.Add(forLong), due) })
	}
	wg.Wait()
	total := sample{elapsed: time.Since(begin)}
	for _, r := range results {
		total.latencies, total.lost = append(total.latencies, r.latencies...), total.lost+r.lost
	}
	return total, errors.Join(errs...)
}

// schedule gives out the moments at which requests are due.
func (l *load) schedule(begin time.Time) func() time.Time {
	if l.rate <= 0 {
		return time.Now
	}
	var n atomic.Int64
	interval := float64(time.Second) / l.rate
	return func() time.Time { return begin.Add(time.Duration(float64(n.Add(1)-1) * interval)) }
}

func (l *load) connection(c net.Conn, end time.Time, due func() time.Time) (sample, error) {
	var s sample
	r := bufio.NewReaderSize(c, 8<<10)
	for {
		at := due()
		if at.After(end) {
			return s, nil
		}
		request := l.take()
		if request == nil {
			return s, nil
		}
		time.Sleep(time.Until(at))
		if err := l.exchange(c, r, request); err != nil {
			s.lost++
			return s, err
		}
		s.latencies = append(s.latencies, time.Since(at))
	}
}

func (l *load) take() []byte {
	i := l.next.Add(1) - 1
	if l.repeat {
		return l.requests[i%int64(len(l.requests))]
	}
	if i >= int64(len(l.requests)) {
		return nil
	}
	return l.requests[i]
}

func (l *load) exchange(c net.Conn, r *bufio.Reader, request []byte) error {
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	status, body, err := readAnswer(r)
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if !strings.Contains(status, " 200 ") || !bytes.Contains(body, l.want) {
		return fmt.Errorf("the answer is not the one wanted: %s %.300s", status, body)
	}
	return nil
}

// readAnswer reads an HTTP/1.1 response with a Content-Length: what these servers send, at less CPU than net/http.
func readAnswer(r *bufio.Reader) (status string, body []byte, err error) {
	if status, err = r.ReadString('\n'); err != nil {
		return "", nil, err
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return "", nil, err
			}
		}
	}
	if length < 0 || length > 1<<20 {
		return "", nil, fmt.Errorf("the answer has no Content-Length that can be read: %q", status)
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return strings.TrimSpace(status), body, err
}
