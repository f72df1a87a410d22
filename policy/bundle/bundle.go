package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/countersign-mpc/countersign/policy"
)

// Bundle is a policy that was read from a bundle.
type Bundle struct {
	Source   *policy.Source
	Number   uint64 // the manifest's revision, from 1: a newer bundle has a higher one
	Signed   bool   // it has a signature; whether that was verified, SignedBy says
	SignedBy string // the id of the key whose signature was verified; "" where no keys were given

	signature string // the JWT; "" for none
}

// manifest is the file .manifest, as far as it is understood; anything else in it is refused.
type manifest struct {
	Revision    string   `json:"revision"`
	Roots       []string `json:"roots,omitempty"`
	RegoVersion int      `json:"rego_version,omitempty"`
}

// Read reads a bundle. With keys, it has to be signed by one of them, and every file has to be covered; without, a signature is
// not looked at. The error says what is wrong with the file, which it does not name.
func Read(b []byte, keys []Key) (*Bundle, error) {
	files, err := unpack(b)
	if err != nil {
		return nil, fmt.Errorf("the bundle %w", err)
	}
	out := &Bundle{}
	if out.Number, err = readManifest(files[manifestName]); err != nil {
		return nil, fmt.Errorf("the bundle's %s: %w", manifestName, err)
	}
	if signatures, there := files[signaturesName]; there {
		if out.signature, err = readSignatures(signatures); err != nil {
			return nil, fmt.Errorf("the bundle's %s: %w", signaturesName, err)
		}
		out.Signed = true
		delete(files, signaturesName)
	}
	if len(keys) > 0 {
		if !out.Signed {
			return nil, errors.New("the bundle is not signed (callback policy sign)")
		}
		if out.SignedBy, err = verify(files, out.signature, keys); err != nil {
			return nil, fmt.Errorf("the bundle's signature: %w", err)
		}
	}
	delete(files, manifestName)
	if out.Source, err = policy.SourceOf(files); err != nil {
		return nil, fmt.Errorf("the bundle: %w", err)
	}
	return out, nil
}

// ReadFile reads a bundle from a file; the error names it.
func ReadFile(path string, keys []Key) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	out, err := Read(b, keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

func readManifest(b []byte) (uint64, error) {
	if b == nil {
		return 0, errors.New("is missing: it holds the number of the revision (callback policy bundle --revision N)")
	}
	var m manifest
	if err := json.Unmarshal(b, &m, json.RejectUnknownMembers(true)); err != nil {
		return 0, errors.New("is not JSON with the members revision, roots and rego_version only")
	}
	if len(m.Roots) > 0 && !slices.Equal(m.Roots, []string{""}) {
		return 0, errors.New("names roots: a policy's bundle is all of the policy")
	}
	if m.RegoVersion != 0 && m.RegoVersion != 1 {
		return 0, errors.New("names another version of Rego than 1")
	}
	n, err := strconv.ParseUint(m.Revision, 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != m.Revision {
		return 0, errors.New("its revision is no whole number from 1, such as \"7\"")
	}
	return n, nil
}

// Digest is hex SHA-256 over the policy's content and the number, whoever signed it.
func (b *Bundle) Digest() string {
	s := policy.Source{Modules: b.Source.Modules, DataName: dataName, Data: b.Source.Data}
	sum := sha256.Sum256(strconv.AppendUint(append(s.Archive(), '#'), b.Number, 10))
	return hex.EncodeToString(sum[:])
}

// Bytes writes the bundle, with its signature if it has one. The same policy, number and signature give the same bytes.
func (b *Bundle) Bytes() ([]byte, error) {
	files, err := b.files()
	if err != nil {
		return nil, err
	}
	if b.signature != "" {
		if files[signaturesName], err = writeSignatures(b.signature); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// opa writes the slash in front, too.
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "/" + name, Size: int64(len(files[name])), Mode: 0o644}
		if err := t.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write bundle: %s: %w", name, err)
		}
		if _, err := t.Write(files[name]); err != nil {
			return nil, fmt.Errorf("write bundle: %s: %w", name, err)
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	if out.Len() > MaxSize {
		return nil, fmt.Errorf("write bundle: it is longer than %d bytes", MaxSize)
	}
	return out.Bytes(), nil
}

// files are those that a signature covers.
func (b *Bundle) files() (map[string][]byte, error) {
	if b.Number == 0 || b.Number > 1<<63-1 {
		return nil, errors.New("write bundle: the revision is a number from 1")
	}
	m, err := json.Marshal(manifest{Revision: strconv.FormatUint(b.Number, 10), Roots: []string{""}, RegoVersion: 1}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	files := map[string][]byte{manifestName: m, dataName: b.Source.Data}
	for name, module := range b.Source.Modules {
		if err := taken(name); err != nil {
			return nil, fmt.Errorf("write bundle: %w", err)
		}
		files[name] = module
	}
	return files, nil
}
