//go:build pkcs11 && cgo

package token_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"github.com/countersign-mpc/countersign/internal/softhsm"
	"github.com/countersign-mpc/countersign/keystore/token"
)

func setup(t *testing.T, label string) token.Config {
	t.Helper()
	k := softhsm.New(t, label)
	t.Setenv("SOFTHSM2_CONF", k.Conf)
	return token.Config{Module: k.Module, TokenLabel: label, KeyLabel: "unseal", PINPath: k.PINPath}
}

func open(t *testing.T, cfg token.Config) token.Key {
	t.Helper()
	k, err := token.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func TestToken(t *testing.T) {
	cfg := setup(t, "node a")
	if _, err := token.Open(cfg); err == nil || !strings.Contains(err.Error(), `has 0 secret keys with the label "unseal"`) {
		t.Fatalf("without a key: %v", err)
	}
	if err := token.Generate(cfg); err != nil {
		t.Fatal(err)
	}
	if err := token.Generate(cfg); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second key of the label: %v", err)
	}
	master, place := bytes.Repeat([]byte{7}, 32), []byte("place")
	k := open(t, cfg)
	first, err := k.Wrap(master, place)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.Wrap(master, place)
	if err != nil || bytes.Equal(first, second) || bytes.Contains(first, master[:8]) {
		t.Fatalf("%x, %x, %v", first, second, err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}

	k = open(t, cfg) // another session
	if got, err := k.Unwrap(first, place); err != nil || !bytes.Equal(got, master) {
		t.Errorf("%x, %v", got, err)
	}
	for name, tc := range map[string]struct{ wrapped, place []byte }{
		"another place": {first, []byte("elsewhere")}, "cut": {first[:20], place}, "flipped": {append([]byte{first[0] ^ 1}, first[1:]...), place},
	} {
		if _, err := k.Unwrap(tc.wrapped, tc.place); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
	if got, err := k.Unwrap(second, place); err != nil || !bytes.Equal(got, master) { // the session goes on after a failure
		t.Errorf("%x, %v", got, err)
	}
}

func TestWhatIsMissing(t *testing.T) {
	cfg := setup(t, "node a")
	if err := token.Generate(cfg); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.TokenLabel = "node b"
	if _, err := token.Open(other); err == nil || !strings.Contains(err.Error(), `has 0 tokens with the label "node b"`) {
		t.Errorf("another token: %v", err)
	}
	if err := os.WriteFile(cfg.PINPath, []byte("123456\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Open(cfg); err == nil || !strings.Contains(err.Error(), "CKR_PIN_INCORRECT") || strings.Contains(err.Error(), "123456") {
		t.Errorf("a wrong PIN: %v", err)
	}
}

// A key that can leave the token, or is too short, is none to trust the store to.
func TestBadKeysAreRefused(t *testing.T) {
	cfg := setup(t, "node a")
	bad := map[string]struct {
		label                  string
		size                   int
		sensitive, extractable bool
	}{
		"is not of 256 bits": {"short", 16, true, false}, "can be read out of the token": {"open", 32, false, false},
		"can be exported from the token": {"portable", 32, true, true},
	}
	for _, k := range bad {
		generate(t, cfg, k.label, k.size, k.sensitive, k.extractable)
	}
	for says, k := range bad {
		c := cfg
		c.KeyLabel = k.label
		if _, err := token.Open(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// generate makes a key with the module alone.
func generate(t *testing.T, cfg token.Config, label string, size int, sensitive, extractable bool) {
	t.Helper()
	m := pkcs11.New(cfg.Module)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(m.Initialize())
	defer func() { must(m.Finalize()); m.Destroy() }()
	slots, err := m.GetSlotList(true)
	must(err)
	s, err := m.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	must(err)
	must(m.Login(s, pkcs11.CKU_USER, "471100"))
	_, err = m.GenerateKey(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, size), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, sensitive), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, extractable),
	})
	must(err)
}
