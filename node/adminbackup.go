package node

import (
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	backupFormat   = "countersign/backup/v1"
	maxBackupFacts = 4 << 20 // bytes of a manifest
)

// BackupManifest says what a backup holds and which password opens it. It is no secret, and is believed only as far as
// `backup verify` finds the same in the backup.
type BackupManifest struct {
	Format   string         `json:"format"`
	Created  time.Time      `json:"created"`
	NodeID   wire.NodeID    `json:"node_id"`
	Bytes    int64          `json:"bytes"`
	SHA256   string         `json:"sha256"` // of the file, hex
	StoreID  string         `json:"store_id"`
	Sequence uint64         `json:"sequence"`           // commits up to the copy
	Password string         `json:"password"`           // names the password, as status does
	Segments string         `json:"segments,omitempty"` // "2 of 3, set …"; absent with one password
	Records  map[string]int `json:"records"`            // in each bucket
	Keys     []BackupKey    `json:"keys"`
}

// BackupKey is what a manifest says of one share.
type BackupKey struct {
	KeyID     string   `json:"key_id"`
	Algorithm string   `json:"algorithm"`
	T         int      `json:"t"`
	N         int      `json:"n"`
	Index     byte     `json:"index"`
	Epoch     uint32   `json:"epoch"`
	State     KeyState `json:"state"`
	PublicKey string   `json:"public_key"`
}

// Backup writes a consistent copy of the running, unsealed node's store into the configured folder, and its manifest beside
// it: FILE.db and FILE.db.json. It returns the path of the former. Of the complete backups that were asked for the oldest beyond
// Config.BackupKeep are removed. A file without a manifest is of a backup that was cut off, and goes with a later backup.
func (n *Node) Backup() (string, BackupManifest, error) { return n.backup(false) }

// backup is Backup, asked for or by the clock. The error of what is old and cannot be removed is logged.
func (n *Node) backup(scheduled bool) (string, BackupManifest, error) {
	if n.cfg.BackupDir == "" {
		return "", BackupManifest{}, errors.New("no folder for backups: set backup.directory")
	}
	n.backupMu.Lock()
	defer n.backupMu.Unlock()
	if err := os.MkdirAll(n.cfg.BackupDir, 0o700); err != nil {
		return "", BackupManifest{}, fmt.Errorf("backup.directory: %w", err)
	}
	path, m, err := n.writeBackup(scheduled)
	if err != nil {
		return "", BackupManifest{}, err
	}
	n.cfg.Log.Info("backup written", "file", path, "keys", len(m.Keys), "sequence", m.Sequence)
	if err := errors.Join(pruneBackups(path, scheduled, n.cfg.BackupKeep), tidyBackups(n.cfg.BackupDir, n.cfg.Clock())); err != nil {
		n.cfg.Log.Warn("old backups could not be removed", "error", err)
	}
	return path, m, nil
}

func (n *Node) writeBackup(scheduled bool) (string, BackupManifest, error) {
	m := BackupManifest{Format: backupFormat, Created: n.cfg.Clock().UTC().Truncate(time.Millisecond)}
	path := filepath.Join(n.cfg.BackupDir, backupName(m.Created, scheduled))
	hash := sha256.New()
	err := keystore.WriteFile(path, func(w io.Writer) error {
		out := io.MultiWriter(w, hash)
		mark, err := keystore.MarkBackup(out)
		if err != nil {
			return err
		}
		snap, err := n.cfg.Store.Backup(out, func(tx *keystore.Tx) (err error) {
			m.NodeID, m.Keys, err = contents(tx, func(*signing.Share) error { return nil })
			return err
		})
		m.StoreID, m.Sequence, m.Password, m.Records, m.Bytes = snap.ID, snap.Sequence, snap.Password, snap.Records, int64(mark)+snap.Bytes
		if snap.Segments != nil {
			m.Segments = segmentsText(snap.Segments)
		}
		return err
	})
	if err != nil {
		return "", BackupManifest{}, fmt.Errorf("write backup %s: %w", path, err)
	}
	m.SHA256 = hex.EncodeToString(hash.Sum(nil))
	data, err := stdjson.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", BackupManifest{}, fmt.Errorf("encode manifest: %w", err)
	}
	err = keystore.WriteFile(path+".json", func(w io.Writer) error { _, err := w.Write(append(data, '\n')); return err })
	if err != nil { // without its manifest it is of no use
		return "", BackupManifest{}, errors.Join(fmt.Errorf("write manifest of backup %s: %w", path, err), os.Remove(path))
	}
	return path, m, nil
}

// ParseBackupManifest reads what Backup wrote, strictly.
func ParseBackupManifest(r io.Reader) (BackupManifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBackupFacts+1))
	if err != nil {
		return BackupManifest{}, fmt.Errorf("manifest of the backup: %w", err)
	}
	var m BackupManifest
	if len(data) > maxBackupFacts || json.Unmarshal(data, &m, json.RejectUnknownMembers(true)) != nil || m.Format != backupFormat {
		return BackupManifest{}, fmt.Errorf("manifest of the backup: not one of format %q", backupFormat)
	}
	return m, nil
}

// CheckStore opens every record of a key in an unsealed store and proves each share with check, beside what its own encoding
// proves: that the secret belongs to its public share, and all public shares to the public key.
func CheckStore(store *keystore.Store, check func(*signing.Share) error) (id wire.NodeID, keys []BackupKey, err error) {
	err = store.View(func(tx *keystore.Tx) error {
		id, keys, err = contents(tx, check)
		return err
	})
	return id, keys, err
}

// Compare says what differs between the manifest and the backup that was opened; nil if nothing does.
func (m BackupManifest) Compare(id wire.NodeID, keys []BackupKey, stat keystore.Stat) error {
	var problems []error
	differ := func(what string, said, found any) {
		if !reflect.DeepEqual(said, found) {
			problems = append(problems, fmt.Errorf("the manifest says %s %v, the backup has %v", what, said, found))
		}
	}
	differ("node id", m.NodeID, id)
	differ("store id", m.StoreID, stat.ID)
	differ("sequence", m.Sequence, stat.Sequence)
	differ("password", m.Password, stat.Password)
	differ("records", m.Records, stat.Records)
	differ("keys", m.Keys, keys)
	return errors.Join(problems...)
}

// contents reads identity and keys. check proves a share further than its encoding does.
func contents(tx *keystore.Tx, check func(*signing.Share) error) (wire.NodeID, []BackupKey, error) {
	identity := new(identityRecord)
	defer func() { secret.Wipe(identity.PEM) }()
	found, err := get(tx, bucketIdentity, identityKey, identity)
	if err != nil {
		return "", nil, err
	}
	if !found {
		return "", nil, errors.New("the store has no identity key")
	}
	private, err := wire.ParsePrivateKey(identity.PEM)
	if err != nil {
		return "", nil, fmt.Errorf("identity key: %w", err)
	}
	keys := []BackupKey{}
	err = tx.ForEach(bucketKey, "", func(id string, value []byte) error {
		key, err := keyFacts(id, value, check)
		keys = append(keys, key)
		return err
	})
	return wire.NodeIDOf(&private.PublicKey), keys, err
}

// keyFacts proves one share and says what may be told of it.
func keyFacts(id string, value []byte, check func(*signing.Share) error) (BackupKey, error) {
	rec := new(keyRecord)
	defer rec.wipe()
	if err := decode(bucketKey, id, value, rec); err != nil {
		return BackupKey{}, err
	}
	share, err := signing.ParseShare(rec.Share)
	if err != nil {
		return BackupKey{}, fmt.Errorf("share of key %s: %w", id, err)
	}
	defer share.Wipe()
	if rec.KeyID != id || byte(share.Index()) != rec.Index {
		return BackupKey{}, fmt.Errorf("share of key %s: its record is of another key or party", id)
	}
	if err := check(share); err != nil {
		return BackupKey{}, fmt.Errorf("share of key %s: %w", id, err)
	}
	return BackupKey{KeyID: id, Algorithm: share.Algorithm().String(), T: share.Threshold(), N: len(rec.Parties), Index: rec.Index,
		Epoch: rec.Epoch, State: rec.State, PublicKey: hex.EncodeToString(share.PublicKey())}, nil
}

// CheckShare proves what the protocol of a share needs beside the share itself.
func (Threshold) CheckShare(share *signing.Share) error {
	if share.Algorithm() == signing.AlgorithmEd25519 {
		return eddsa.CheckShare(share)
	}
	return cmp.CheckShare(share)
}
