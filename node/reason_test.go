package node_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
)

// mustKeepToItself demands that a has told the coordinator none of some names, and its log all of them.
func (r *trio) mustKeepToItself(t *testing.T, names ...string) {
	t.Helper()
	r.do(func() {
		for _, e := range r.log {
			for _, name := range names {
				if e.from == r.a.id && contains(fmt.Sprint(e.frame), name) {
					t.Errorf("the coordinator was told of %s: %v", name, e.frame)
				}
			}
		}
	})
	for _, name := range names {
		if !contains(string(r.a.log.bytes()), name) {
			t.Errorf("the log does not say %s:\n%s", name, r.a.log.bytes())
		}
	}
}

// TestReasonsNameNoFileAndNoServer: a refusal goes to the coordinator and to whoever asked, and where this node keeps its files and
// whom it asks is not their business.
func TestReasonsNameNoFileAndNoServer(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	host := strings.TrimPrefix(away.URL, "http://")
	away.Close()
	type files struct{ dir, key, junk, open string }
	server := func(key string) []node.CallbackServer {
		return []node.CallbackServer{{Address: "http://" + host, PublicKeyPath: key}}
	}
	for name, c := range map[string]struct {
		change func(*node.FileSettings, files)
		reason string
		keygen bool
		names  func(files) []string // what the log says and nobody else hears
	}{
		"no key of the callback": {change: func(s *node.FileSettings, f files) { s.CallbackServers = server(f.dir + "/none.pem") },
			reason: "the public key of callback server 1 of this node (callback.server.public-key-path) cannot be read: the file does not exist: put",
			names:  func(f files) []string { return []string{f.dir + "/none.pem", host} }},
		"a key of the callback that is none": {change: func(s *node.FileSettings, f files) { s.CallbackServers = server(f.junk) },
			reason: "is not a PEM public key", names: func(f files) []string { return []string{f.junk, host} }},
		"a key of the callback that is a folder": {change: func(s *node.FileSettings, f files) { s.CallbackServers = server(f.dir) },
			reason: "is not a PEM public key", names: func(f files) []string { return []string{f.dir, host} }},
		"a key of the callback that everybody can write": {change: func(s *node.FileSettings, f files) { s.CallbackServers = server(f.open) },
			reason: "everybody can write the file", names: func(f files) []string { return []string{f.open, host} }},
		"no certificates of the callback": {change: func(s *node.FileSettings, f files) {
			s.CallbackServers = server(f.key)
			s.CallbackServers[0].TLS = asking.TLSFiles{CA: f.dir + "/ca.pem"}
		}, reason: "the TLS files of callback server 1", names: func(f files) []string { return []string{f.dir + "/ca.pem", host} }},
		"no address of the callback": {change: func(s *node.FileSettings, f files) {
			s.CallbackServers = server(f.key)
			s.CallbackServers[0].Address = "ftp://" + host
		}, reason: "[callback] of this node's configuration", names: func(files) []string { return []string{host} }},
		"a callback that is away": {change: func(s *node.FileSettings, f files) { s.CallbackServers = server(f.key) },
			reason: "a callback server of this node gave no answer that counts in 1 tries", names: func(files) []string { return []string{host} }},
		"no allow-list": {change: func(s *node.FileSettings, f files) { s.PartyIDsPath = f.dir + "/none.txt" },
			reason: "parties.party-ids-path: this node could not use one of its files", names: func(f files) []string { return []string{f.dir + "/none.txt"} }},
		"an allow-list that everybody can write": {change: func(s *node.FileSettings, f files) { s.PartyIDsPath = f.open },
			reason: "everybody can write the file", names: func(f files) []string { return []string{f.open} }},
		"no key of the requester": {change: func(s *node.FileSettings, f files) { s.RequesterKeyPaths = []string{f.dir + "/none.pem"} },
			reason: "authorization.public-key-paths: this node could not use one of its files", names: func(f files) []string { return []string{f.dir + "/none.pem"} }},
		"a key of the requester that is none": {change: func(s *node.FileSettings, f files) { s.RequesterKeyPaths = []string{f.junk} },
			reason: "authorization.public-key-paths: requester key", names: func(f files) []string { return []string{f.junk} }},
		"no key of the recipient": {change: func(s *node.FileSettings, f files) { s.EncryptPublicKeyPath = f.dir + "/none.pem" }, keygen: true,
			reason: "(encrypt-signature.public-key-path) cannot be read: the file does not exist", names: func(f files) []string { return []string{f.dir + "/none.pem"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			f := files{dir, filepath.Join(dir, "key.pem"), filepath.Join(dir, "junk"), filepath.Join(dir, "open")}
			writePEM(t, f.key, newP256(t))
			must(t, os.WriteFile(f.junk, []byte("junk"), 0o600))
			writePEM(t, f.open, newP256(t))
			must(t, os.Chmod(f.open, 0o666))
			r := newTrio(t)
			settings := &node.FileSettings{}
			for _, p := range r.all {
				settings.PartyIDs = append(settings.PartyIDs, string(p.NodeID))
			}
			a := r.keygen(3)
			if !c.keygen {
				r.offer(a)
				r.awaitActive(r.keyID, r.a, r.b, r.c)
				a = r.signing()
			}
			must(t, r.a.node.Close())
			c.change(settings, f)
			r.a.all = settings
			r.a.open()
			r.a.unseal()
			s := r.offer(a)
			if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, c.reason) {
				t.Errorf("refused with %q, want %q", answer.Reason, c.reason)
			}
			r.mustKeepToItself(t, c.names(f)...)
		})
	}
}

// TestReasonsDoNotNameTheStore: nor where it keeps its shares.
func TestReasonsDoNotNameTheStore(t *testing.T) {
	t.Parallel()
	const path = "/srv/secret-place/asset.sealed"
	for _, point := range []string{"offer", "begin"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			r := newSigners(t)
			var full atomic.Bool
			r.a.persist = func(contents func(io.Writer) error) error {
				if full.Load() {
					return fmt.Errorf("write %s: no space left on device", path)
				}
				return contents(io.Discard)
			}
			r.a.restart()
			r.do(func() { r.manual = true })
			full.Store(point == "offer")
			s := r.offer(r.signing())
			if point == "offer" {
				if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "could not use its key store") {
					t.Errorf("refused with %q", answer.Reason)
				}
			} else {
				for _, m := range []*member{r.a, r.b, r.c} {
					r.awaitAnswer(s, m.id, linkv1.Answer_APPROVED)
				}
				full.Store(true)
				r.do(func() { r.begin(s) })
				if report := r.awaitReport(s, r.a.id); report.Completed || !contains(report.Reason, "could not use its key store") {
					t.Errorf("the report is %v", report)
				}
			}
			r.mustKeepToItself(t, path)
		})
	}
}
