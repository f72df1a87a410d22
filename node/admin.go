package node

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
)

const maxAdminBody = 4 << 10

// AdminConfig says for whom the admin interface is.
type AdminConfig struct {
	Hosts []string // names other than loopback that the Host header may carry
	Stop  func()   // ends the process gracefully
}

// Admin is the loopback HTTP interface by which an operator initialises, unseals and inspects a node, as the published
// node.sh calls it: answers are {"data":…,"status":"ok"}, or HTTP 400 with {"error":…,"status":"error"}.
//
// It has no login: who reaches the loopback address of this machine may seal and stop the node, and needs the password to
// unseal it. A request whose Host header is not loopback or configured, or that carries an Origin, is refused, so that a
// web page in a browser on this machine cannot call it.
func (n *Node) Admin(cfg AdminConfig) http.Handler {
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler { return localOnly(cfg.Hosts, next) })
	for _, call := range []Entry{EntryInit, EntryUnseal, EntryReset, EntryChange} {
		r.Post("/sys/"+string(call), n.password(call))
	}
	r.Post("/sys/cancel-bkey", func(w http.ResponseWriter, _ *http.Request) {
		n.CancelEntry()
		answer(w, "cancel-bkey success", nil)
	})
	r.Post("/sys/auto-unseal/enable", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "auto-unseal enabled", n.EnableAuto(context.WithoutCancel(r.Context())))
	})
	r.Post("/sys/auto-unseal/disable", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "auto-unseal disabled", n.DisableAuto(context.WithoutCancel(r.Context())))
	})
	r.Get("/sys/seal-status", n.sealStatus)
	r.Get("/sys/info", func(w http.ResponseWriter, _ *http.Request) {
		info, err := n.Info()
		answer(w, info, err)
	})
	r.Get("/sys/sessions", func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Sessions(), nil) })
	r.Get("/sys/keys", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		keys, err := n.Keys(query.Get("path"), derive.Network(query.Get("network")))
		answer(w, keys, err)
	})
	r.Post("/sys/backup", func(w http.ResponseWriter, _ *http.Request) {
		path, manifest, err := n.Backup()
		answer(w, struct {
			File     string         `json:"file"`
			Manifest BackupManifest `json:"manifest"`
		}{path, manifest}, err)
	})
	r.Post("/sys/seal", func(w http.ResponseWriter, _ *http.Request) {
		n.Seal()
		answer(w, "seal success", nil)
	})
	r.Post("/sys/stop", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "stop success", nil)
		cfg.Stop()
	})
	unknown := func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, fmt.Errorf("%s %s is not a call of the node's admin interface", excerpt(r.Method), excerpt(r.URL.Path)))
	}
	r.NotFound(unknown)
	r.MethodNotAllowed(unknown)
	return r
}

// sealStatus answers with what the guide's info shows.
func (n *Node) sealStatus(w http.ResponseWriter, _ *http.Request) {
	type status struct {
		NodeID    string `json:"node_id,omitempty"`
		PublicKey string `json:"public_key,omitempty"`
		State     string `json:"state"`
		// Segments that were entered, while more are needed: the guide's nodes do not tell that.
		Progress *Progress `json:"progress,omitempty"`
		// What takes a while at this moment; the state is that of before.
		Doing *Doing `json:"doing,omitempty"`
		// The key that opens the store beside the password, and what that means.
		AutoUnseal string `json:"auto_unseal,omitempty"`
		Warning    string `json:"warning,omitempty"`
	}
	out := status{State: n.State(), Progress: n.Progress(), Doing: n.Doing(), AutoUnseal: n.autoUnseal()}
	if out.AutoUnseal != "" {
		out.Warning = AutoUnsealWarning
	}
	if id, err := n.Identity(); err == nil {
		out.NodeID, out.PublicKey = string(id.NodeID), id.PublicKey
	}
	answer(w, out, nil)
}

// password serves a call that takes {"shard_bkey":"..."}, whatever its Content-Type: a password, or one segment.
func (n *Node) password(call Entry) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		password, next, err := readPassword(r.Body)
		if err != nil {
			answer(w, nil, err)
			return
		}
		defer password.Wipe()
		defer next.Wipe()
		data, err := n.EnterWith(context.WithoutCancel(r.Context()), call, password, next) // a caller that gives up must not stop it half way
		if errors.Is(err, keystore.ErrWrongPassword) || errors.Is(err, keystore.ErrBackoff) {
			n.cfg.Log.Warn("password refused", "call", call, "error", err)
		}
		answer(w, data, err)
	}
}

// errNotPassword tells what a caller that pastes a password into JSON, as node.sh does, gets wrong.
var errNotPassword = errors.New(`the body is not {"shard_bkey":"..."} in UTF-8: where the caller does not escape JSON, a password must not contain " or \ or control characters such as a tab`)

// readPassword reads the body of the password calls; next is the new password that re-bkey-init may bring, else empty. An error never
// repeats any of it. A password is never made a Go string, which could not be wiped.
func readPassword(r io.Reader) (password, next secret.Bytes, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxAdminBody+1))
	defer secret.Wipe(data)
	if err != nil {
		return password, next, errors.New("the request's body could not be read")
	}
	if len(data) > maxAdminBody {
		return password, next, fmt.Errorf("the request's body has more than %d bytes", maxAdminBody)
	}
	var body struct {
		Password jsontext.Value `json:"shard_bkey"`
		Next     jsontext.Value `json:"new_bkey"`
	}
	defer func() {
		secret.Wipe(body.Password)
		secret.Wipe(body.Next)
	}()
	if err := json.Unmarshal(data, &body, json.RejectUnknownMembers(true)); err != nil {
		return password, next, errNotPassword
	}
	if password, err = unquote(body.Password); err != nil {
		return password, next, err
	}
	if body.Next != nil {
		if next, err = unquote(body.Next); err != nil {
			password.Wipe()
		}
	}
	return password, next, err
}

func unquote(text jsontext.Value) (secret.Bytes, error) {
	if text.Kind() != '"' {
		return secret.Bytes{}, errNotPassword
	}
	plain, err := jsontext.AppendUnquote(make([]byte, 0, len(text)), text)
	if err != nil {
		secret.Wipe(plain)
		return secret.Bytes{}, errNotPassword
	}
	return secret.New(plain), nil
}

func answer(w http.ResponseWriter, data any, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = stdjson.NewEncoder(w).Encode(map[string]string{"error": err.Error(), "status": "error"})
		return
	}
	_ = stdjson.NewEncoder(w).Encode(struct {
		Data   any    `json:"data"`
		Status string `json:"status"`
	}{data, "ok"})
}

// localOnly refuses what a web page could send (DNS rebinding, cross-site requests).
func localOnly(hosts []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		ip := net.ParseIP(host)
		local := strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback()) || slices.Contains(hosts, host)
		switch {
		case !local:
			answer(w, nil, fmt.Errorf("host %q is not the loopback address and not in storage.unseal-server-names", excerpt(host)))
		case r.Header.Get("Origin") != "":
			answer(w, nil, errors.New("requests of web pages are refused"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Health serves /livez, /readyz and /metrics for the monitoring listener.
func (n *Node) Health() http.Handler {
	r := chi.NewRouter()
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	r.Get("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := n.NotReady(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	r.Method(http.MethodGet, "/metrics", promhttp.HandlerFor(n.cfg.Metrics.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	return r
}

// NotReady says why the node cannot take part in sessions now; empty if it can.
func (n *Node) NotReady() string {
	if n.draining.Load() {
		return "the node is stopping"
	}
	if s := n.State(); s != keystore.Unsealed.String() {
		return "the node is " + s
	}
	if err := n.cfg.Store.Unwritten(); err != nil {
		return unwritable(err)
	}
	if !n.Linked() {
		return "the node is not connected to the coordinator"
	}
	return ""
}

// unwritable says that the node takes part in nothing as long as its disk is full, or fails.
func unwritable(err error) string { return fmt.Sprintf("the store could not be written: %v", err) }

// Linked tells whether the node is connected to the coordinator.
func (n *Node) Linked() bool {
	link := n.current.Load()
	return link != nil && link.State().Connected
}
