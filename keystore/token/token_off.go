//go:build !pkcs11 || !cgo

package token

// Open opens a session and finds the key. The error names what is missing: module, token, PIN or key.
func Open(Config) (Key, error) { return nil, ErrNotBuilt }

// Generate makes the key in the token. It fails if there is one of that label.
func Generate(Config) error { return ErrNotBuilt }
