package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/bundle"
	"github.com/countersign-mpc/countersign/rego"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func shipped(t testing.TB) *policy.Source {
	t.Helper()
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	return s
}

// signers are one of each kind.
func signers(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return map[string]crypto.Signer{"P-256": p256, "Ed25519": ed}
}

func keyOf(t testing.TB, s crypto.Signer) bundle.Key {
	t.Helper()
	k, err := bundle.NewKey(s.Public())
	must(t, err)
	return k
}

func written(t testing.TB, b *bundle.Bundle) []byte {
	t.Helper()
	out, err := b.Bytes()
	must(t, err)
	return out
}

// TestRoundTrip: a bundle is the policy that went into it, with the same revision; the same policy gives the same bytes.
func TestRoundTrip(t *testing.T) {
	s := shipped(t)
	b := &bundle.Bundle{Source: s, Number: 41}
	first := written(t, b)
	if !bytes.Equal(first, written(t, &bundle.Bundle{Source: shipped(t), Number: 41})) {
		t.Error("the same policy gives other bytes")
	}
	got, err := bundle.Read(first, nil)
	must(t, err)
	want, err := s.Revision()
	must(t, err)
	revision, err := got.Source.Revision()
	must(t, err)
	if got.Number != 41 || got.Signed || got.SignedBy != "" || revision != want || got.Digest() != b.Digest() {
		t.Errorf("got number %d, signed %v by %q, revision %s, not %s", got.Number, got.Signed, got.SignedBy, revision, want)
	}
	if !bytes.Equal(written(t, got), first) {
		t.Error("read and written again it is another")
	}
	b.Number = 42
	if got.Digest() == b.Digest() {
		t.Error("another number has the same digest")
	}
}

// TestSignatures: signed by a listed key it is read; stock opa verifies the same bytes; any other key or none is refused.
func TestSignatures(t *testing.T) {
	for name, signer := range signers(t) {
		t.Run(name, func(t *testing.T) {
			key := keyOf(t, signer)
			b := &bundle.Bundle{Source: shipped(t), Number: 3}
			unsigned := written(t, b)
			id, err := b.Sign(signer)
			must(t, err)
			signed := written(t, b)
			got, err := bundle.Read(signed, []bundle.Key{keyOf(t, signers(t)["P-256"]), key})
			must(t, err)
			if id != key.ID() || got.SignedBy != id || !got.Signed || got.Digest() != b.Digest() {
				t.Errorf("signed by %q, not %q", got.SignedBy, key.ID())
			}
			if _, err := bundle.Read(signed, []bundle.Key{keyOf(t, signers(t)[name])}); err == nil || !strings.Contains(err.Error(), "none of those that are configured") {
				t.Errorf("another key: %v", err)
			}
			if _, err := bundle.Read(unsigned, []bundle.Key{key}); err == nil || !strings.Contains(err.Error(), "is not signed") {
				t.Errorf("unsigned: %v", err)
			}
			if got, err := bundle.Read(signed, nil); err != nil || !got.Signed || got.SignedBy != "" {
				t.Errorf("without keys nothing is verified, and that is said: %+v %v", got, err)
			}
			must(t, stock(signed, key, signer))
			if stock(unsigned, key, signer) == nil {
				t.Error("stock opa takes it unsigned: does it verify at all?")
			}
		})
	}
}

// stock reads a bundle as opa does that was given the key.
func stock(b []byte, key bundle.Key, signer crypto.Signer) error {
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return err
	}
	algorithm := "ES256"
	if _, isEd := signer.Public().(ed25519.PublicKey); isEd {
		algorithm = "EdDSA"
	}
	keys := map[string]*opa.KeyConfig{key.ID(): {Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), Algorithm: algorithm}}
	_, err = opa.NewReader(bytes.NewReader(b)).WithBundleVerificationConfig(opa.NewVerificationConfig(keys, "", "", nil)).WithRegoVersion(ast.RegoV1).Read()
	return err
}

// TestStockSignature: what opa itself signs is read here.
func TestStockSignature(t *testing.T) {
	signer := signers(t)["P-256"].(*ecdsa.PrivateKey)
	der, err := x509.MarshalECPrivateKey(signer)
	must(t, err)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	unsigned := archive(t, number, data, module)
	b, err := opa.NewReader(bytes.NewReader(unsigned)).WithRegoVersion(ast.RegoV1).WithSkipBundleVerification(true).Read()
	must(t, err)
	key := keyOf(t, signer)
	must(t, b.GenerateSignature(opa.NewSigningConfig(private, "ES256", ""), key.ID(), false))
	var out bytes.Buffer
	must(t, opa.NewWriter(&out).UseModulePath(true).DisableFormat(true).Write(b))
	got, err := bundle.Read(out.Bytes(), []bundle.Key{key})
	must(t, err)
	if got.SignedBy != key.ID() || got.Number != 7 || string(got.Source.Modules["a.rego"]) == "" {
		t.Errorf("got %+v", got)
	}
}

// TestTampering: a signed bundle in which anything was changed, added, removed or renamed is refused, byte by byte and file by file.
func TestTampering(t *testing.T) {
	signer := signers(t)["Ed25519"]
	keys := []bundle.Key{keyOf(t, signer)}
	s, err := policy.SourceOf(map[string][]byte{"a.rego": []byte("package countersign\n"), "b/c.rego": []byte("package countersign.b\n"), "data.json": []byte(data.content)})
	must(t, err)
	b := &bundle.Bundle{Source: s, Number: 7}
	_, err = b.Sign(signer)
	must(t, err)
	signed := written(t, b)
	files := entries(t, signed)
	for name, change := range map[string]func(map[string]string){
		"a module":       func(f map[string]string) { f["/a.rego"] += "\n" },
		"the data":       func(f map[string]string) { f["/data.json"] = `{"format":"countersign/policy-data/v2"}` },
		"data as YAML":   func(f map[string]string) { f["/data.json"] = `format: countersign/policy-data/v1` },
		"the number":     func(f map[string]string) { f["/.manifest"] = strings.Replace(f["/.manifest"], "7", "8", 1) },
		"a new file":     func(f map[string]string) { f["/d.rego"] = "package countersign.d\n" },
		"no file":        func(f map[string]string) { delete(f, "/b/c.rego") },
		"another name":   func(f map[string]string) { f["/b/d.rego"] = f["/b/c.rego"]; delete(f, "/b/c.rego") },
		"no signature":   func(f map[string]string) { delete(f, "/.signatures.json") },
		"two signatures": func(f map[string]string) { f["/.signatures.json"] = `{"signatures":["a.b.c","a.b.c"]}` },
		"a plugin": func(f map[string]string) {
			f["/.signatures.json"] = strings.Replace(f["/.signatures.json"], `{`, `{"plugin":"mine",`, 1)
		},
		"no token": func(f map[string]string) { f["/.signatures.json"] = `{"signatures":["a.b.c"]}` },
		"a cut token": func(f map[string]string) {
			f["/.signatures.json"] = strings.Replace(f["/.signatures.json"], `"]`, `A"]`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			changed := map[string]string{}
			for k, v := range files {
				changed[k] = v
			}
			change(changed)
			var list []file
			for k, v := range changed {
				list = append(list, file{name: k, content: v})
			}
			if _, err := bundle.Read(archive(t, list...), keys); err == nil {
				t.Error("it was taken")
			}
		})
	}
	for i := range signed { // a bit anywhere: refused, or one that gzip does not look at, such as that of the system
		changed := bytes.Clone(signed)
		changed[i] ^= 1
		if got, err := bundle.Read(changed, keys); err == nil && got.Digest() != b.Digest() {
			t.Errorf("byte %d: another policy was taken", i)
		}
		if _, err := bundle.Read(signed[:i], keys); err == nil {
			t.Errorf("cut after %d bytes it was taken", i)
		}
	}
}

func entries(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	out := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		out[h.Name] = string(content)
	}
}

// TestWeakDigest: a signature over MD5 digests is none, although opa knows them.
func TestWeakDigest(t *testing.T) {
	signer := signers(t)["P-256"].(*ecdsa.PrivateKey)
	der, err := x509.MarshalECPrivateKey(signer)
	must(t, err)
	private := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	key := keyOf(t, signer)
	hash, err := opa.NewSignatureHasher(opa.MD5)
	must(t, err)
	var covered []opa.FileInfo
	for _, f := range []struct {
		name  string
		value any
	}{{".manifest", map[string]any{"revision": "7"}}, {"data.json", map[string]any{"format": "countersign/policy-data/v1"}}, {"a.rego", []byte(module.content)}} {
		sum, err := hash.HashFile(f.value)
		must(t, err)
		covered = append(covered, opa.NewFile(f.name, fmt.Sprintf("%x", sum), string(opa.MD5)))
	}
	token, err := opa.GenerateSignedToken(covered, opa.NewSigningConfig(private, "ES256", ""), key.ID())
	must(t, err)
	signed := archive(t, number, data, module, file{name: "/.signatures.json", content: `{"signatures":["` + token + `"]}`})
	must(t, stock(signed, key, signer)) // opa takes it
	if _, err := bundle.Read(signed, []bundle.Key{key}); err == nil || !strings.Contains(err.Error(), "MD5") {
		t.Errorf("got %v", err)
	}
}

// TestFloor: an older bundle, and another one of the same number, are refused, also by another process later on.
func TestFloor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "floor.json")
	of := func(number uint64, text string) *bundle.Bundle {
		s, err := policy.SourceOf(map[string][]byte{"a.rego": []byte(text), "data.json": []byte(data.content)})
		must(t, err)
		return &bundle.Bundle{Source: s, Number: number}
	}
	must(t, bundle.OpenFloor(path).Check(of(5, "a")))
	must(t, bundle.OpenFloor(path).Accept(of(5, "a")))
	for _, c := range []struct {
		number uint64
		text   string
		says   string
	}{{5, "a", ""}, {6, "b", ""}, {4, "a", "its revision is 4, and 5 was accepted"}, {5, "b", "another bundle of revision 5"}} {
		f := bundle.OpenFloor(path)
		for _, err := range []error{f.Check(of(c.number, c.text)), acceptInCopy(t, path, of(c.number, c.text))} {
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%d %s: %v", c.number, c.text, err)
			}
		}
	}
	must(t, bundle.OpenFloor(path).Accept(of(9, "c")))
	if err := bundle.OpenFloor(path).Check(of(8, "b")); err == nil {
		t.Error("8 was taken after 9")
	}
	good, err := os.ReadFile(path)
	must(t, err)
	for name, text := range map[string]string{"empty": "", "cut": string(good[:len(good)/2]), "another format": strings.Replace(string(good), "/v1", "/v2", 1), "more": strings.Replace(string(good), "{", `{"x":1,`, 1)} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if err := bundle.OpenFloor(path).Accept(of(99, "c")); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := bundle.OpenFloor(filepath.Join(path, "nowhere")).Accept(of(1, "a")); err == nil {
		t.Error("it was accepted although that cannot be written")
	}
}

// acceptInCopy accepts a bundle beside the floor of the test, so that it stays as it is.
func acceptInCopy(t *testing.T, path string, b *bundle.Bundle) error {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	other := filepath.Join(t.TempDir(), "floor.json")
	must(t, os.WriteFile(other, text, 0o600))
	return bundle.OpenFloor(other).Accept(b)
}

// TestKeys: which keys are taken.
func TestKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	if _, err := bundle.NewKey(p384.Public()); err == nil {
		t.Error("P-384 was taken")
	}
	for name, signer := range signers(t) {
		der, err := x509.MarshalPKIXPublicKey(signer.Public())
		must(t, err)
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		k, err := bundle.ParseKey(public)
		must(t, err)
		if k.ID() != keyOf(t, signer).ID() {
			t.Errorf("%s: another id", name)
		}
		der, err = x509.MarshalPKCS8PrivateKey(signer)
		must(t, err)
		private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if s, err := bundle.ParseSigner(private); err != nil || keyOf(t, s).ID() != k.ID() {
			t.Errorf("%s: %v", name, err)
		}
		for what, text := range map[string][]byte{"private as public": private, "two": append(bytes.Clone(public), public...), "none": nil} {
			if _, err := bundle.ParseKey(text); err == nil {
				t.Errorf("%s: %s was taken", name, what)
			}
		}
		if _, err := bundle.ParseSigner(public); err == nil {
			t.Errorf("%s: a public key signs", name)
		}
	}
}

// FuzzRead: whatever the bytes are, reading ends within its bounds, and what was read is written and read again the same.
func FuzzRead(f *testing.F) {
	signer := signers(f)["Ed25519"]
	b := &bundle.Bundle{Source: shipped(f), Number: 7}
	f.Add(written(f, b))
	_, err := b.Sign(signer)
	must(f, err)
	f.Add(written(f, b))
	f.Add(archive(f, number, data, module))
	f.Add(archive(f, number, data, module, file{name: "../x.rego", content: "x"}, file{name: "b", kind: tar.TypeSymlink}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, in := range [][]byte{raw, gzipped(t, bytes.NewReader(raw))} { // the archive itself, which gzip would hide from the fuzzer
			got, err := bundle.Read(in, nil)
			if err != nil {
				continue
			}
			again, err := bundle.Read(written(t, got), nil)
			if err != nil || again.Digest() != got.Digest() || again.Number != got.Number {
				t.Errorf("written and read again: %v", err)
			}
			if _, err := bundle.Read(in, []bundle.Key{keyOf(t, signer)}); err == nil && !got.Signed {
				t.Error("unsigned, and taken for signed")
			}
		}
	})
}
