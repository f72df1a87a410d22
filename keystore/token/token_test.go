package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/keystore/token"
)

func TestConfig(t *testing.T) {
	good := token.Config{Module: "/m.so", TokenLabel: "node a", KeyLabel: "unseal", PINPath: "/pin"}
	if err := good.Validate(); err != nil || good.Name() != "pkcs11:token=node a;object=unseal" {
		t.Errorf("%v, %s", err, good.Name())
	}
	for says, spoil := range map[string]func(*token.Config){
		"module must be":      func(c *token.Config) { c.Module = "" },
		"token-label must be": func(c *token.Config) { c.TokenLabel = strings.Repeat("x", 33) },
		"key-label holds":     func(c *token.Config) { c.KeyLabel = "a\nb" },
		"pin-path must be":    func(c *token.Config) { c.PINPath = "" },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// Open says what is wrong before it comes to a token; a program without the tag says only that.
func TestOpenWithoutAToken(t *testing.T) {
	dir := t.TempDir()
	pin := filepath.Join(dir, "pin")
	write := func(content string, mode os.FileMode) {
		t.Helper()
		_ = os.Remove(pin)
		if err := errors.Join(os.WriteFile(pin, []byte(content), mode), os.Chmod(pin, mode)); err != nil {
			t.Fatal(err)
		}
	}
	cfg := token.Config{Module: filepath.Join(dir, "none.so"), TokenLabel: "t", KeyLabel: "k", PINPath: pin}
	want := func(says string) {
		t.Helper()
		_, err := token.Open(cfg)
		if errors.Is(err, token.ErrNotBuilt) {
			if !errors.Is(token.Generate(cfg), token.ErrNotBuilt) {
				t.Error("Generate works where Open does not")
			}
			t.Skip(err)
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "471100") {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	want("no such file")
	write("471100\n", 0o640)
	want("group or others have access")
	write("\n471100\n", 0o600)
	want("no PIN in its first line")
	write(strings.Repeat("1", 2000), 0o600)
	want("more than 1024 bytes")
	write("471100\n", 0o600)
	want("cannot be loaded")
}
