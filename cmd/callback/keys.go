package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/wire"
)

func (o *options) keys() *cobra.Command {
	parent := &cobra.Command{
		Use: "keys", Short: "Make key pairs for the server, for approvers and for requesters",
		Example: "  callback keys generate reply-a --out keys",
	}
	out, algorithm, asJSON := ".", algorithmP256, false
	generate := &cobra.Command{
		Use: "generate NAME...", Short: "Make key pairs: NAME.pem is private (mode 0600), NAME_public.pem is public",
		Long: `Make a P-256 key pair for each name: a reply key of the server (one for each node), an approver's or a requester's key.
NAME.pem is the private key, readable by you alone; NAME_public.pem the public one, to be given to others. Nothing is overwritten.
--algorithm ed25519 makes Ed25519 key pairs, which approvers may have; servers, nodes and requesters have P-256.

It prints the key id, by which data.json and tx_info name a requester, and the public key as data.json's approvers want it.`,
		Example: `  callback keys generate reply-a reply-b --out /etc/countersign/keys
  callback keys generate alice --out ~/keys --json
  callback keys generate bob --out ~/keys --algorithm ed25519`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			made := make([]keyFiles, 0, len(names))
			for _, name := range names {
				k, err := generateKey(out, name, algorithm)
				if err != nil {
					return err
				}
				made = append(made, k)
			}
			if asJSON {
				return o.printJSON(made)
			}
			for _, k := range made {
				fmt.Fprintf(o.out, "%s  private, keep it secret\n%s  public\nkey id      %s\npublic key  %s\n", k.Private, k.Public, k.KeyID, k.PublicKey)
			}
			return nil
		},
	}
	generate.Flags().StringVarP(&out, "out", "o", ".", "folder for the files")
	generate.Flags().StringVar(&algorithm, "algorithm", algorithmP256, "p256 or ed25519")
	generate.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	parent.AddCommand(generate)
	return parent
}

// keyFiles says what a new key pair is called.
type keyFiles struct {
	Private   string `json:"private"`    // path
	Public    string `json:"public"`     // path
	KeyID     string `json:"key_id"`     // hex SHA-256 of the SPKI DER
	PublicKey string `json:"public_key"` // base64 of the SPKI DER, as data.json's approvers want it
	NodeID    string `json:"node_id"`    // the key in the form in which nodes are named; "" for Ed25519
}

// What keys are made for.
const (
	algorithmP256    = "p256"
	algorithmEd25519 = "ed25519"
)

func generateKey(dir, name, algorithm string) (keyFiles, error) {
	var k keyFiles
	if algorithm != algorithmP256 && algorithm != algorithmEd25519 {
		return k, fmt.Errorf("--algorithm %q: %s or %s is needed", algorithm, algorithmP256, algorithmEd25519)
	}
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return k, fmt.Errorf("key name %q: a plain file name without folder and suffix is needed", name)
	}
	k.Private, k.Public = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"_public.pem")
	for _, path := range []string{k.Private, k.Public} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return k, refused(fmt.Errorf("%s exists already: keys are not overwritten; choose another name, or take it away yourself", path))
		}
	}
	if algorithm == algorithmEd25519 {
		err := k.makeEd25519(name)
		return k, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return k, fmt.Errorf("make key %s: %w", name, err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return k, fmt.Errorf("make key %s: %w", name, err)
	}
	k.KeyID, k.PublicKey = keyIDOf(der), base64.StdEncoding.EncodeToString(der)
	k.NodeID = string(wire.NodeIDOf(&key.PublicKey))
	return k, k.write(key)
}

// keyIDOf names a public key, given in SPKI DER.
func keyIDOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func (k keyFiles) write(key *ecdsa.PrivateKey) error {
	private, err := wire.MarshalPrivateKey(key)
	if err != nil {
		return err
	}
	defer secret.Wipe(private)
	public, err := wire.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	return k.writePair(private, public)
}

// makeEd25519 makes an approver's key pair: PKCS #8 and SPKI (RFC 8410).
func (k *keyFiles) makeEd25519(name string) error {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make key %s: %w", name, err)
	}
	defer secret.Wipe(key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make key %s: %w", name, err)
	}
	defer secret.Wipe(der)
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("make key %s: %w", name, err)
	}
	k.KeyID, k.PublicKey = keyIDOf(spki), base64.StdEncoding.EncodeToString(spki)
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer secret.Wipe(private)
	return k.writePair(private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
}

func (k keyFiles) writePair(private, public []byte) error {
	if err := os.MkdirAll(filepath.Dir(k.Private), 0o700); err != nil {
		return err
	}
	if err := writeNew(k.Private, private, 0o600); err != nil {
		return err
	}
	return writeNew(k.Public, public, 0o644)
}

// writeNew writes a file that must not exist yet; its content is on the disk when it returns.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// openToken reads the admin token, or makes one at the first start.
func openToken(path string) (secret.Bytes, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, 32)
		rand.Read(raw) // never fails (crypto/rand)
		token := append([]byte(base64.RawURLEncoding.EncodeToString(raw)), '\n')
		defer secret.Wipe(token)
		if err := writeNew(path, token, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return secret.Bytes{}, fmt.Errorf("make the admin token: %w", err)
		}
	}
	return readToken(path)
}

// openResultKey reads the key that seals signature results, or makes one at the first start.
func openResultKey(path string) (*callback.ResultKey, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		file := callback.GenerateResultKey()
		defer secret.Wipe(file)
		if err := writeNew(path, file, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the result key: %w", err)
		}
	}
	return readResultKey(path)
}

// readResultKey reads it from a file that nobody else may read.
func readResultKey(path string) (*callback.ResultKey, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("result key: %w", err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("result key: %w", err)
	}
	defer secret.Wipe(file)
	key, err := callback.ParseResultKey(file)
	if err != nil {
		return nil, refused(fmt.Errorf("result key %s: %w", path, err))
	}
	return key, nil
}

// readToken reads the token from a file that nobody else may read.
func readToken(path string) (secret.Bytes, error) {
	if err := private(path); err != nil {
		return secret.Bytes{}, fmt.Errorf("admin token: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("admin token: %w", err)
	}
	defer secret.Wipe(data)
	text := strings.TrimSpace(string(data))
	if len(text) < callback.MinTokenLength || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return secret.Bytes{}, refused(fmt.Errorf("admin token %s: one line of at least %d printable characters is needed", path, callback.MinTokenLength))
	}
	return secret.Copy([]byte(text)), nil
}
