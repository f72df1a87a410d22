//go:build pkcs11 && cgo

package token

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/countersign-mpc/countersign/internal/secret"
)

const maxPIN = 1024 // bytes

// pin reads the user's PIN. The caller wipes it.
func (c Config) pin() (secret.Bytes, error) {
	f, err := os.Open(c.PINPath)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("PIN of the token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("PIN of the token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return secret.Bytes{}, fmt.Errorf("PIN of the token: group or others have access to %s, mode %v: chmod 600 it", c.PINPath, info.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPIN+1))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("PIN of the token: %s cannot be read", c.PINPath)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(data) > maxPIN {
		secret.Wipe(data)
		return secret.Bytes{}, fmt.Errorf("PIN of the token: %s has no PIN in its first line, or more than %d bytes", c.PINPath, maxPIN)
	}
	return secret.New(line), nil
}
