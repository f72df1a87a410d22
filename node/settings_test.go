package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// writePEM writes a public key to a file.
func writePEM(t testing.TB, path string, key *ecdsa.PrivateKey) {
	t.Helper()
	pem, err := wire.MarshalPublicKey(&key.PublicKey)
	must(t, err)
	must(t, os.WriteFile(path, pem, 0o600))
}

func TestCallbackKeysAreReadAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "callback.pem")
	s := &node.FileSettings{CallbackRequired: true}
	if _, err := s.Guard(); err == nil || !contains(err.Error(), "callback.required is true") {
		t.Fatalf("a node without callback: %v", err)
	}
	s.CallbackServers = []node.CallbackServer{{Address: "http://127.0.0.1:1", PublicKeyPath: path}}
	if _, err := s.Guard(); err == nil || !contains(err.Error(), path+" does not exist: put the PEM public key there") {
		t.Fatalf("a key file that is missing: %v", err)
	}
	must(t, os.WriteFile(path, []byte("not a key"), 0o600))
	if _, err := s.Guard(); err == nil || !contains(err.Error(), "callback.server.public-key-path") || contains(err.Error(), "not a key") {
		t.Fatalf("a file that is no key: %v", err)
	}
	writePEM(t, path, newP256(t))
	if guard, err := s.Guard(); err != nil || guard == nil {
		t.Fatalf("the guard is %v (%v)", guard, err)
	}
	s.CallbackServers[0].PublicKeyPath = ""
	if _, err := s.Guard(); err == nil || !contains(err.Error(), "no path is given") {
		t.Fatalf("no path: %v", err)
	}
	s.CallbackServers[0] = node.CallbackServer{Address: "127.0.0.1:1", PublicKeyPath: path}
	if _, err := s.Guard(); err == nil {
		t.Fatal("an address that is none was taken")
	}
	none := &node.FileSettings{}
	if guard, err := none.Guard(); guard != nil || err != nil {
		t.Fatalf("the guide's default is %v (%v)", guard, err)
	}
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	a, b, c := newID(t), newID(t), newID(t)
	path := filepath.Join(t.TempDir(), "parties.txt")
	s := &node.FileSettings{PartyIDs: []string{string(a)}, PartyIDsPath: path}
	if _, err := s.Parties(); err == nil || !contains(err.Error(), "party-ids-path") {
		t.Fatalf("a list that is missing: %v", err)
	}
	must(t, os.WriteFile(path, []byte("# the platform's nodes\n\n  "+string(b)+"  \n"), 0o600))
	allowed, err := s.Parties()
	if err != nil || len(allowed) != 2 || !allowed[a] || !allowed[b] || allowed[c] {
		t.Fatalf("allowed are %v (%v)", allowed, err)
	}
	for _, bad := range []string{"sino", string(b)[:40], "node-b", strings.Repeat("x", 1<<17)} {
		must(t, os.WriteFile(path, []byte(bad), 0o600))
		if allowed, err := s.Parties(); err == nil {
			t.Fatalf("%.20q gives %v", bad, allowed)
		}
	}
}

func TestRequesterKeysAndRecipient(t *testing.T) {
	t.Parallel()
	key := newP256(t)
	path := filepath.Join(t.TempDir(), "key.pem")
	s := &node.FileSettings{RequesterKeyPaths: []string{path}, EncryptPublicKeyPath: path, UnguardedQuorum: true}
	if _, required, err := s.Requesters(); err == nil || !required {
		t.Fatal("requests are taken though the requesters cannot be read")
	}
	if _, err := s.Recipient(); err == nil {
		t.Fatal("results are given out though the recipient's key cannot be read")
	}
	must(t, os.WriteFile(path, []byte("no key"), 0o600))
	if _, required, err := s.Requesters(); err == nil || !required {
		t.Fatal("requests are taken though a requester's key is none")
	}
	writePEM(t, path, key)
	known, err := manifest.NewRequesterKey(&key.PublicKey)
	must(t, err)
	keys, required, err := s.Requesters()
	if err != nil || required || len(keys) != 1 || keys[known.ID()].ID() != known.ID() {
		t.Fatalf("requesters are %v, required %t (%v)", keys, required, err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(t, err)
	if got, err := s.Recipient(); err != nil || got != hex.EncodeToString(der) {
		t.Fatalf("the recipient is %s (%v)", got, err)
	}
	none := &node.FileSettings{RequesterRequired: true}
	if got, err := none.Recipient(); got != "" || err != nil {
		t.Fatalf("the recipient is %s (%v)", got, err)
	}
	if keys, required, err := none.Requesters(); len(keys) != 0 || !required || err != nil {
		t.Fatalf("requesters are %v, required %t (%v)", keys, required, err)
	}
	if !s.AllowUnguardedQuorum() || none.AllowUnguardedQuorum() {
		t.Fatal("the unguarded quorum is not what was configured")
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.pem")
	writePEM(t, path, newP256(t))
	for name, c := range map[string]struct {
		settings node.FileSettings
		want     []string
	}{
		"the guide's way": {node.FileSettings{}, []string{"no callback server is configured", "authorization.required is false"}},
		"all is there": {node.FileSettings{CallbackRequired: true, CallbackServers: []node.CallbackServer{{Address: "http://127.0.0.1:1", PublicKeyPath: path}},
			RequesterRequired: true, RequesterKeyPaths: []string{path}}, nil},
		"nothing is there yet": {node.FileSettings{CallbackRequired: true, CallbackServers: []node.CallbackServer{{Address: "http://127.0.0.1:1", PublicKeyPath: "none.pem"}},
			RequesterRequired: true, RequesterKeyPaths: []string{"none"}, PartyIDsPath: "none", EncryptPublicKeyPath: "none"},
			[]string{"requests are refused: the public key of callback server", "requests are refused: parties", "requests are refused: authorization", "requests are refused: the key that results"}},
		"an unguarded quorum": {node.FileSettings{RequesterRequired: true, UnguardedQuorum: true}, []string{"no callback server", "allow-unguarded-quorum is true"}},
	} {
		got := c.settings.Warnings()
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) && !contains(got[i], c.want[i]) {
				t.Errorf("%s: %q, want %q", name, got[i], c.want[i])
			}
		}
	}
}

// TestSettingsFromFiles has a node with settings from files ask a real HTTP server, whose key file comes late.
func TestSettingsFromFiles(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	reply := newP256(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		must(t, err)
		key, err := r.a.id.PublicKey()
		must(t, err)
		request, err := wire.OpenRequest(wire.Path(strings.TrimPrefix(q.URL.Path, "/v1")), body, q.Header.Get("Signature"), []*ecdsa.PublicKey{key})
		if err != nil {
			t.Errorf("a request of the node: %v", err)
			return
		}
		out, err := wire.Reply(reply, wire.ResponseData{CallbackID: request.Check.CallbackID, Action: wire.Approve}, wire.StyleUpper, "")
		must(t, err)
		_, _ = w.Write(out)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	keyPath, listPath := filepath.Join(dir, "callback.pem"), filepath.Join(dir, "parties.txt")
	must(t, os.WriteFile(listPath, []byte(string(r.b.id)+"\n"+string(r.c.id)+"\n"), 0o600))
	must(t, r.a.node.Close())
	r.a.all = &node.FileSettings{PartyIDsPath: listPath, CallbackRequired: true,
		CallbackServers: []node.CallbackServer{{Address: server.URL, PublicKeyPath: keyPath}}}
	r.a.open()
	r.a.unseal()

	refused := r.offer(r.signing())
	if a := r.awaitAnswer(refused, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "does not exist: put the PEM public key there") {
		t.Fatalf("the answer is %v", a)
	}
	r.mustBeSilent(refused, r.a.id)
	writePEM(t, keyPath, reply)
	r.mustSign(r.signing()) // without a restart

	writePEM(t, keyPath, newP256(t)) // now the server's replies are of a stranger
	wrong := r.offer(r.signing())
	if a := r.awaitAnswer(wrong, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "gave no answer that counts") || !contains(a.Reason, "public-key-path") {
		t.Fatalf("the answer is %v", a)
	}
	r.mustBeSilent(wrong, r.a.id)
	if warnings := r.a.all.Warnings(); len(warnings) != 1 {
		t.Fatalf("warnings are %q", warnings)
	}
}

func TestEVMChains(t *testing.T) {
	t.Parallel()
	s := &node.FileSettings{EVMChains: []string{"ETH", "BSC"}}
	for symbol, want := range map[string]bool{"ETH": true, "BSC": true, "eth": false, "BTC": false, "": false} {
		if s.OnEVM(symbol) != want {
			t.Errorf("OnEVM(%q) is %t", symbol, !want)
		}
	}
}

// TestFilesThatEverybodyCanWriteAreRefused: at each request, not at the start alone; and every one of them is told.
func TestFilesThatEverybodyCanWriteAreRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "node")
	must(t, os.Mkdir(dir, 0o700))
	parties, callback, requester := filepath.Join(dir, "parties.txt"), filepath.Join(dir, "callback.pem"), filepath.Join(dir, "requester.pem")
	must(t, os.WriteFile(parties, []byte(string(newID(t))+"\n"), 0o600))
	writePEM(t, callback, newP256(t))
	writePEM(t, requester, newP256(t))
	s := &node.FileSettings{PartyIDsPath: parties, RequesterKeyPaths: []string{requester}, RequesterRequired: true, EncryptPublicKeyPath: callback,
		CallbackServers: []node.CallbackServer{{Address: "http://127.0.0.1:1", PublicKeyPath: callback}}}
	mustRefuse := func(refused int, says string) {
		t.Helper()
		_, guard := s.Guard()
		_, party := s.Parties()
		_, _, request := s.Requesters()
		_, recipient := s.Recipient()
		got := 0
		for _, err := range []error{guard, party, request, recipient} {
			if err != nil {
				got++
				if !contains(err.Error(), says) {
					t.Errorf("it says %v", err)
				}
			}
		}
		if warnings := s.Warnings(); got != refused || len(warnings) != refused {
			t.Errorf("%d of the settings are refused, want %d; warnings %q", got, refused, warnings)
		}
	}
	mustRefuse(0, "")
	must(t, os.Chmod(parties, 0o666))
	mustRefuse(1, "everybody can write "+parties)
	must(t, os.Chmod(callback, 0o602))
	must(t, os.Chmod(requester, 0o646))
	mustRefuse(4, "everybody can write ")
	for _, path := range []string{parties, callback, requester} {
		must(t, os.Chmod(path, 0o644))
	}
	mustRefuse(0, "")
	must(t, os.Chmod(dir, 0o777))
	mustRefuse(4, "everybody can replace ")
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	mustRefuse(0, "")
}
