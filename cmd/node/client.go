package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/secret"
)

const (
	adminTimeout = 60 * time.Second // Argon2id and the check of every record take their time
	maxAnswer    = 4 << 20
	maxInput     = 64 << 10 // bytes of passwords on standard input
)

func (o *options) seal() *cobra.Command {
	return o.simple("seal", "Forget the master key and end all sessions; unseal opens the node again", http.MethodPost, "/sys/seal")
}

func (o *options) stop() *cobra.Command {
	return o.simple("stop", "End the node's process gracefully", http.MethodPost, "/sys/stop")
}

func (o *options) info() *cobra.Command {
	cmd := o.simple("info", "Print the node id, the public key and the seal state", http.MethodGet, "/sys/seal-status")
	plain := cmd.RunE
	cmd.Long = `Print the node id, the public key and the seal state as JSON and, on standard error, what protects the memory of the process.`
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := plain(cmd, args); err != nil {
			return err
		}
		return o.printProtections(cmd.Context())
	}
	return cmd
}

func (o *options) printProtections(ctx context.Context) error {
	body, err := o.call(ctx, http.MethodGet, "/sys/info", nil)
	if err != nil {
		return err
	}
	var reply struct {
		Data struct {
			Protections []string `json:"protections"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	for _, line := range reply.Data.Protections {
		fmt.Fprintf(o.err, "protection: %s\n", line)
	}
	return nil
}

func (o *options) status() *cobra.Command {
	return o.simple("status", "Print everything an operator wants to know of the node: link, keys, requests, warnings", http.MethodGet, "/sys/info")
}

// simple is a command that is one call without a body.
func (o *options) simple(use, short, method, path string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, Example: "  mpc-node " + use, RunE: func(cmd *cobra.Command, _ []string) error {
		body, err := o.call(cmd.Context(), method, path, nil)
		if err != nil {
			return err
		}
		return o.print(body)
	}}
}

func (o *options) sendPassword(ctx context.Context, path string, password secret.Bytes) error {
	return o.sendPasswords(ctx, path, password, secret.Bytes{})
}

// sendPasswords sends a password and, with reset, the new one; an empty one is left out.
func (o *options) sendPasswords(ctx context.Context, path string, password, next secret.Bytes) error {
	defer password.Wipe()
	defer next.Wipe()
	body := append(make([]byte, 0, 6*(password.Len()+next.Len())+64), `{"shard_bkey":`...) // six bytes are the longest that a byte is escaped to
	defer func() { secret.Wipe(body) }()
	body, err := jsontext.AppendQuote(body, password.Expose())
	if err == nil && next.Len() > 0 {
		body = append(body, `,"new_bkey":`...)
		body, err = jsontext.AppendQuote(body, next.Expose())
	}
	if err != nil {
		return errors.New("the password is not valid UTF-8 text")
	}
	body = append(body, '}')
	return o.post(ctx, path, body)
}

// post does one call and prints the answer on one line, as the guide shows it.
func (o *options) post(ctx context.Context, path string, body []byte) error {
	answer, err := o.call(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s\n", bytes.TrimSpace(answer))
	return nil
}

// call does one call of the admin interface and returns the body of a good answer.
func (o *options) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	address, secure, err := o.adminAddress()
	if err != nil {
		return nil, err
	}
	scheme := "http://"
	if secure != nil {
		scheme = "https://"
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, scheme+address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	client := &http.Client{ // no proxy, no redirect: the password is for the node alone
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: secure},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, unreached(address, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var refusal struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(answer, &refusal) != nil || refusal.Error == "" {
			return nil, fmt.Errorf("%s answered HTTP %d: is that a node's admin address?", address, response.StatusCode)
		}
		return nil, &codedError{exitRefused, errors.New(refusal.Error)}
	}
	return answer, nil
}

// unreached says why a call did not arrive.
func unreached(address string, err error) error {
	var certificate *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("what answers at %s has no TLS, and this command asks for TLS, as it does for every address beyond loopback: nothing was sent; give the node [admin-tls], or reach it through an SSH tunnel", address)
	case errors.As(err, &certificate):
		return fmt.Errorf("what answers at %s shows no certificate that counts: give its CA with --ca, or as admin-tls.ca-path (%w)", address, err)
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert of TLS, of which the library exports nothing else
		return &codedError{exitRefused, fmt.Errorf("the node at %s refuses the client certificate, or that there is none: give one with --cert and --key, or in [admin-tls] (%w)", address, err)}
	}
	return &codedError{exitAway, fmt.Errorf("no node answers at %s: is it started? (%v)", address, err)}
}

// adminAddress is --address, or what the running node wrote to its address file, or the configured address, and the TLS with
// which the node is called there; nil: none.
func (o *options) adminAddress() (string, *tls.Config, error) {
	c, err := loadConfig(o.config, true) // where the node may listen is its own concern
	if o.address != "" {
		known := &c
		if err != nil {
			known = nil
		}
		config, err := o.clientTLS(known, o.address)
		return o.address, config, err
	}
	if err != nil {
		return "", nil, err
	}
	address := c.Storage.UnsealServerAddress
	if c.AddressFile != "" {
		if real, err := listeners.Announced(c.AddressFile); err == nil && real["admin"] != "" {
			address = real["admin"]
		}
	}
	address = reachable(address)
	config, err := o.clientTLS(&c, address)
	return address, config, err
}

func (o *options) print(body []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	fmt.Fprintln(o.out, strings.TrimSpace(out.String()))
	return nil
}

// newPassword asks twice at a terminal.
func (o *options) newPassword() (secret.Bytes, error) {
	first, err := o.readPassword("New password: ")
	if err != nil || !o.isTerminal() || bytes.HasPrefix(first.Expose(), []byte("segment-")) { // a segment has a check of its own
		return first, err
	}
	second, err := o.readPassword("Retype new password: ")
	if err != nil {
		return secret.Bytes{}, err
	}
	defer second.Wipe()
	if !first.Equal(second) {
		first.Wipe()
		return secret.Bytes{}, errors.New("the two passwords differ: nothing was changed")
	}
	return first, nil
}

func (o *options) isTerminal() bool {
	f, ok := o.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readPassword reads without echo from a terminal, else the next line of standard input.
func (o *options) readPassword(prompt string) (secret.Bytes, error) {
	if f, ok := o.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(o.err, prompt)
		b, err := o.readHidden(int(f.Fd()))
		fmt.Fprintln(o.err)
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("read password: %w", err)
		}
		if len(b) == 0 {
			return secret.Bytes{}, errors.New("nothing was entered, and nothing sent")
		}
		return secret.New(b), nil
	}
	if o.lines == nil {
		o.lines = bufio.NewReader(io.LimitReader(o.in, maxInput))
	}
	line, err := o.awaitLine(func() ([]byte, error) { return o.lines.ReadBytes('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return secret.Bytes{}, fmt.Errorf("read password: %w", err)
	}
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 {
		return secret.Bytes{}, errNoPassword
	}
	return secret.New(line), nil
}

var errNoPassword = errors.New("no password came on standard input")

// errInterrupted: a signal came before the password was there.
var errInterrupted = errors.New("interrupted: nothing was sent to the node")

// awaitLine reads until a signal comes, which no read from a pipe or terminal notices by itself. The read that is left then ends
// with the process.
func (o *options) awaitLine(read func() ([]byte, error)) ([]byte, error) {
	type line struct {
		text []byte
		err  error
	}
	lines := make(chan line, 1)
	go func() {
		text, err := read()
		lines <- line{text, err}
	}()
	select {
	case l := <-lines:
		return l.text, l.err
	case <-o.ended:
		return nil, errInterrupted
	}
}

// readHidden reads a line from a terminal without echo. A signal ends it, and the terminal echoes again.
func (o *options) readHidden(fd int) ([]byte, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	text, err := o.awaitLine(func() ([]byte, error) { return term.ReadPassword(fd) })
	if errors.Is(err, errInterrupted) {
		_ = term.Restore(fd, before)
	}
	return text, err
}
