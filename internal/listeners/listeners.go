// Package listeners serves the HTTP sides of a process: opened together before anything is served, announced in an address
// file, bounded in time and header size, and stopped gracefully together. It knows no routes.
package listeners

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	headerTimeout       = 5 * time.Second
	readTimeout         = 30 * time.Second
	defaultWriteTimeout = time.Minute
	idleTimeout         = 2 * time.Minute
	maxHeaders          = 16 << 10
	stopTimeout         = 15 * time.Second
)

// Side is one address of a process and what is served there.
type Side struct {
	Name         string // in the address file
	Key          string // of the configuration, for errors
	Address      string // host:port; port 0 takes a free one
	Handler      http.Handler
	WriteTimeout time.Duration // 0: a minute
	TLS          *tls.Config   // nil: plain HTTP
	Log          *slog.Logger  // of connections that came to nothing, at level debug; nil: slog.Default()
}

// Set is the open sides of one process.
type Set struct {
	sides     []Side
	listeners []net.Listener
}

// Open opens all sides or none, and writes addressFile, if it is not empty: a JSON object of each side's name and real
// address, replaced as a whole.
func Open(addressFile string, sides ...Side) (*Set, error) {
	s := &Set{sides: sides}
	addresses := make(map[string]string, len(sides))
	for _, side := range sides {
		l, err := net.Listen("tcp", side.Address)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("%s: %w: is another process running there?", side.Key, err)
		}
		s.listeners = append(s.listeners, l)
		addresses[side.Name] = l.Addr().String()
	}
	if addressFile == "" {
		return s, nil
	}
	data, err := json.Marshal(addresses)
	if err == nil {
		err = replaceFile(addressFile, append(data, '\n'))
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("address-file: %w", err)
	}
	return s, nil
}

// Announced reads the address file of a running process: the real address of each side by its name.
func Announced(addressFile string) (map[string]string, error) {
	data, err := os.ReadFile(addressFile)
	if err != nil {
		return nil, fmt.Errorf("address-file: %w", err)
	}
	var addresses map[string]string
	if err := json.Unmarshal(data, &addresses); err != nil {
		return nil, fmt.Errorf("address-file %s: %w", addressFile, err)
	}
	return addresses, nil
}

// Address is where the side of this name really listens.
func (s *Set) Address(name string) string {
	for i, side := range s.sides {
		if side.Name == name {
			return s.listeners[i].Addr().String()
		}
	}
	return ""
}

func (s *Set) close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// Run serves until ctx ends or a side fails. Then it ends the contexts of calls, runs stopping, if it is not nil, and waits
// for what has begun, 15 seconds in all.
func (s *Set) Run(ctx context.Context, stopping func(context.Context)) error {
	calls, endCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer endCalls()
	failed := make(chan error, len(s.sides))
	servers := make([]*http.Server, len(s.sides))
	var wg sync.WaitGroup
	for i, side := range s.sides {
		servers[i] = side.server(calls)
		wg.Go(func() {
			serve := servers[i].Serve
			if side.TLS != nil {
				serve = func(l net.Listener) error { return servers[i].ServeTLS(l, "", "") }
			}
			if err := serve(s.listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", side.Name, err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if stopping != nil {
		endCalls() // those that are held for a change answer now
		stopping(limited)
	}
	for _, server := range servers {
		err = errors.Join(err, server.Shutdown(limited))
	}
	wg.Wait()
	return err
}

func (s Side) server(calls context.Context) *http.Server {
	write := s.WriteTimeout
	if write == 0 {
		write = defaultWriteTimeout
	}
	quiet := s.Log
	if quiet == nil {
		quiet = slog.Default()
	}
	return &http.Server{
		TLSConfig: s.TLS, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelDebug),
		Handler: s.Handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: write, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaders, BaseContext: func(net.Listener) context.Context { return calls },
	}
}

// replaceFile writes a file so that a reader sees the old or the new content, never half.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}
