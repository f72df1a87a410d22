package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	defer password.Wipe()
	body := append(make([]byte, 0, 6*password.Len()+32), `{"shard_bkey":`...) // six bytes are the longest that a byte is escaped to
	defer func() { secret.Wipe(body) }()
	body, err := jsontext.AppendQuote(body, password.Expose())
	if err != nil {
		return errors.New("the password is not valid UTF-8 text")
	}
	body = append(body, '}')
	answer, err := o.call(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s\n", bytes.TrimSpace(answer))
	return nil
}

// call does one call of the admin interface and returns the body of a good answer.
func (o *options) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	address, err := o.adminAddress()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	client := &http.Client{ // no proxy, no redirect: the password is for the node alone
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, &codedError{exitAway, fmt.Errorf("no node answers at %s: is it started? (%v)", address, err)}
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

// adminAddress is --address, or what the running node wrote to its address file, or the configured address.
func (o *options) adminAddress() (string, error) {
	if o.address != "" {
		return o.address, nil
	}
	c, err := loadConfig(o.config)
	if err != nil {
		return "", err
	}
	if c.AddressFile != "" {
		if real, err := listeners.Announced(c.AddressFile); err == nil && real["admin"] != "" {
			return real["admin"], nil
		}
	}
	return c.Storage.UnsealServerAddress, nil
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
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(o.err)
		if err != nil {
			return secret.Bytes{}, fmt.Errorf("read password: %w", err)
		}
		return secret.New(b), nil
	}
	if o.lines == nil {
		o.lines = bufio.NewReader(io.LimitReader(o.in, maxInput))
	}
	line, err := o.lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return secret.Bytes{}, fmt.Errorf("read password: %w", err)
	}
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 {
		return secret.Bytes{}, errors.New("no password came on standard input")
	}
	return secret.New(line), nil
}
