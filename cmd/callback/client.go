package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/internal/conffile"
	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/internal/servertls"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	adminTimeout = 30 * time.Second
	maxAnswer    = 64 << 20 // bytes: a thousand decisions with long ids
)

// admin is the admin API of a running server.
type admin struct {
	address   string // host:port, or a URL; "": from the configuration
	tokenFile string // "": from the configuration, unless there is a client certificate
	caFile    string // roots that the server's certificate is checked with; "": the system's, or from the configuration
	cert, key string // files of the client's certificate; "": none

	pinned  bool          // caFile is the server's own certificate
	timeout time.Duration // of the whole call; 0: adminTimeout
}

func (a *admin) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.address, "server", "", "admin address of the server, host:port (default: from the configuration)")
	cmd.Flags().StringVar(&a.tokenFile, "token-file", "", "file with an operator's or the admin token (default: from the configuration)")
	cmd.Flags().StringVar(&a.caFile, "ca-file", "", "PEM file of roots for a server with TLS, https://host:port (default: the system's, or from the configuration)")
	cmd.Flags().StringVar(&a.cert, "client-cert", "", "PEM file of an operator's client certificate, in place of a token; with --client-key")
	cmd.Flags().StringVar(&a.key, "client-key", "", "PEM file of its private key")
}

// fill takes from the configuration what no flag says: the address that a running server wrote to its address-file, or
// the configured one.
func (a *admin) fill(configPath string) error {
	if (a.cert == "") != (a.key == "") {
		return errors.New("--client-cert and --client-key belong together")
	}
	if a.address != "" && (a.tokenFile != "" || a.cert != "") {
		return nil
	}
	c, err := loadConfig(configPath)
	if err != nil {
		return fmt.Errorf("%w (or give --server and --token-file)", err)
	}
	if a.tokenFile == "" && a.cert == "" {
		a.tokenFile = c.AdminTokenPath
	}
	if a.address != "" {
		return nil
	}
	if a.address, err = c.whereIs("admin", c.AdminListen); err != nil {
		return err
	}
	if c.AdminTLS.on() {
		a.address = "https://" + a.address
		if a.caFile == "" {
			a.caFile, a.pinned = c.AdminTLS.CertificatePath, true
		}
	}
	return nil
}

// whereIs is the address of a side of the server: what a running one wrote to its address-file, or the configured one. A port that
// the system chooses is in that file alone.
func (c *config) whereIs(side, configured string) (string, error) {
	if c.AddressFile == "" {
		return configured, nil
	}
	real, err := listeners.Announced(c.AddressFile)
	switch {
	case err == nil && real[side] != "":
		return real[side], nil
	case errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(configured, ":0"):
		return "", &codedError{exitAway, fmt.Errorf("no callback server answers: one that is started writes its addresses to %s, which is not there", c.AddressFile)}
	}
	return configured, nil
}

// client makes the connection: over TLS 1.3, where it is TLS.
func (a *admin) client() (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS13}
	if a.cert != "" {
		if err := private(a.key); err != nil {
			return nil, fmt.Errorf("--client-key: %w", err)
		}
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("client certificate %s: %w", a.cert, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if a.caFile != "" {
		pool, err := servertls.ReadPool(a.caFile)
		if err != nil {
			return nil, fmt.Errorf("roots of the server's certificate: %w", err)
		}
		t.RootCAs = pool
	}
	if a.pinned { // the server is on this machine, and its certificate need not name this machine
		t.InsecureSkipVerify, t.VerifyConnection = true, a.isOwn
	}
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// isOwn takes the certificate in caFile and no other.
func (a *admin) isOwn(conn tls.ConnectionState) error {
	data, err := os.ReadFile(a.caFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(data)
	if block == nil || len(conn.PeerCertificates) == 0 || !bytes.Equal(block.Bytes, conn.PeerCertificates[0].Raw) {
		return fmt.Errorf("the server shows another certificate than the one in %s", a.caFile)
	}
	return nil
}

// call does one call of the admin API and reads its JSON answer into out.
func (o *options) call(ctx context.Context, a *admin, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.timeout, adminTimeout))
	defer cancel()
	response, err := o.send(ctx, a, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := a.readAnswer(response)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// send does one call, and returns an answer that is no refusal; the caller closes its body.
func (o *options) send(ctx context.Context, a *admin, method, path string, body []byte) (*http.Response, error) {
	if err := a.fill(o.config); err != nil {
		return nil, err
	}
	var token secret.Bytes
	if a.tokenFile != "" {
		var err error
		if token, err = readToken(a.tokenFile); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: a server makes it when it first starts: is it started, and is this the file that it made?", err)
		} else if err != nil {
			return nil, err
		}
	}
	defer token.Wipe()
	return a.do(ctx, method, path, body, token)
}

func (a *admin) readAnswer(response *http.Response) ([]byte, error) {
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, a.silent(err)
	}
	return answer, nil
}

func (a *admin) do(ctx context.Context, method, path string, body []byte, token secret.Bytes) (*http.Response, error) {
	u, err := a.base()
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" {
		if err := conffile.Loopback(hostPort(u)); err != nil {
			return nil, refused(fmt.Errorf("--server: %w; or a server with [admin-tls] as https://host:port", err))
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(u.String(), "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token.Len() > 0 {
		request.Header.Set("Authorization", "Bearer "+string(token.Expose()))
	}
	request.Header.Set("Content-Type", "application/json")
	client, err := a.client()
	if err != nil {
		return nil, err
	}
	response, err := a.exchange(client, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	answer, err := a.readAnswer(response)
	if err != nil {
		return nil, err
	}
	return nil, a.refusal(response.StatusCode, answer)
}

// exchange sends a request; an error says whether a server may have taken it.
func (a *admin) exchange(client *http.Client, request *http.Request) (*http.Response, error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	response, err := client.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err == nil {
		return response, nil
	}
	var ended *net.OpError
	err = errors.Unwrap(err) // it names method and URL besides
	if connected.Load() && !(errors.As(err, &ended) && ended.Op == tlsAlert) {
		return nil, a.silent(err)
	}
	return nil, &codedError{exitAway, fmt.Errorf("no callback server answers at %s: is it started? (%v)", a.address, err)}
}

// tlsAlert is what crypto/tls calls an alert of the other side. With TLS 1.3 it refuses a client's certificate only when the client
// takes the connection for made.
const tlsAlert = "remote error"

// silent is the error of a call that was sent and got no whole answer.
func (a *admin) silent(err error) error {
	how := fmt.Sprintf("did not answer (%v)", err)
	if errors.Is(err, context.DeadlineExceeded) {
		how = "did not answer in time"
	}
	return &codedError{exitAway, fmt.Errorf("the callback server at %s %s: whether it did what it was asked is not known", a.address, how)}
}

// base is the address as a URL.
func (a *admin) base() (*url.URL, error) {
	base := a.address
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--server %q: host:port or https://host:port is needed", a.address)
	}
	return u, nil
}

// refusal is the error that an answer says.
func (a *admin) refusal(status int, answer []byte) error {
	var refusal struct {
		Error string `json:"error"`
	}
	if isNodesSide(status, answer) {
		return refused(fmt.Errorf("%s is where the nodes ask (listen), and not the admin address (admin-listen, %s unless it is configured otherwise)", a.address, defaults().AdminListen))
	}
	if json.Unmarshal(answer, &refusal) != nil || refusal.Error == "" {
		return fmt.Errorf("%s answered HTTP %d: is that the admin address of a callback server, and with [admin-tls] given as https://host:port?", a.address, status)
	}
	return refused(fmt.Errorf("the server refused: %s", refusal.Error))
}

// isNodesSide tells that an answer is a callback server's and of the side that serves nodes: a refusal in the form of the
// callback protocol, which the admin API's does not have.
func isNodesSide(status int, answer []byte) bool {
	var refusal wire.Response
	return status == http.StatusNotFound && json.Unmarshal(answer, &refusal) == nil && refusal.Status == wire.CodeNotFound.WireStatus() &&
		strings.HasPrefix(refusal.Error, string(wire.CodeNotFound)+": ")
}

func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}
