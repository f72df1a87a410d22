//go:build pkcs11 && cgo

package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"

	"github.com/countersign-mpc/countersign/keystore"
)

const (
	keySize   = 32  // bytes
	nonceSize = 12  // bytes
	tagBits   = 128 // of GCM
)

// key is a key in a token. A PKCS #11 session does one operation at a time.
type key struct {
	cfg Config

	mu      sync.Mutex // guards the fields below
	module  *pkcs11.Ctx
	session pkcs11.SessionHandle
	object  pkcs11.ObjectHandle
}

var _ keystore.OutsideKey = (*key)(nil)

// Open opens a session and finds the key. The error names what is missing: module, token, PIN or key.
func Open(cfg Config) (Key, error) {
	k, err := login(cfg, 0)
	if err != nil {
		return nil, err
	}
	if err := k.find(); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Generate makes the key in the token. It fails if there is one of that label.
func Generate(cfg Config) (err error) {
	k, err := login(cfg, pkcs11.CKF_RW_SESSION)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	found, err := k.objects()
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("token %q has %d keys of the label %q already: give another key-label", cfg.TokenLabel, len(found), cfg.KeyLabel)
	}
	_, err = k.module.GenerateKey(k.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, keySize),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, cfg.KeyLabel),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
	})
	if err != nil {
		return fmt.Errorf("make a key in token %q: %w", cfg.TokenLabel, err)
	}
	return nil
}

// login loads the module and opens a session of the user at the token.
func login(cfg Config, flags uint) (*key, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	pin, err := cfg.pin()
	if err != nil {
		return nil, err
	}
	defer pin.Wipe()
	module := pkcs11.New(cfg.Module)
	if module == nil {
		return nil, fmt.Errorf("PKCS #11 module %s cannot be loaded: is it the token's library, for this machine?", cfg.Module)
	}
	if err := module.Initialize(); err != nil {
		module.Destroy()
		return nil, fmt.Errorf("PKCS #11 module %s: %w", cfg.Module, err)
	}
	k := &key{cfg: cfg, module: module}
	slot, err := k.slot()
	if err != nil {
		return nil, errors.Join(err, k.Close())
	}
	if k.session, err = module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|flags); err != nil {
		return nil, errors.Join(fmt.Errorf("token %q: open a session: %w", cfg.TokenLabel, err), k.Close())
	}
	// The library wants a string, which cannot be wiped.
	if err := module.Login(k.session, pkcs11.CKU_USER, string(pin.Expose())); err != nil {
		return nil, errors.Join(fmt.Errorf("token %q: log in with the PIN of %s: %w", cfg.TokenLabel, cfg.PINPath, err), k.Close())
	}
	return k, nil
}

// slot finds the one slot whose token has the label.
func (k *key) slot() (uint, error) {
	slots, err := k.module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("PKCS #11 module %s: list its slots: %w", k.cfg.Module, err)
	}
	var found []uint
	for _, slot := range slots {
		info, err := k.module.GetTokenInfo(slot)
		if err == nil && strings.TrimRight(info.Label, " \x00") == k.cfg.TokenLabel {
			found = append(found, slot)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("PKCS #11 module %s has %d tokens with the label %q, one is needed: is it plugged in?", k.cfg.Module, len(found), k.cfg.TokenLabel)
	}
	return found[0], nil
}

// objects finds the secret keys of the label.
func (k *key) objects() ([]pkcs11.ObjectHandle, error) {
	err := k.module.FindObjectsInit(k.session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.cfg.KeyLabel),
	})
	if err != nil {
		return nil, fmt.Errorf("token %q: look for key %q: %w", k.cfg.TokenLabel, k.cfg.KeyLabel, err)
	}
	found, _, err := k.module.FindObjects(k.session, 2)
	if err := errors.Join(err, k.module.FindObjectsFinal(k.session)); err != nil {
		return nil, fmt.Errorf("token %q: look for key %q: %w", k.cfg.TokenLabel, k.cfg.KeyLabel, err)
	}
	return found, nil
}

// find finds the key and makes sure that it is AES-256 and cannot leave the token.
func (k *key) find() error {
	found, err := k.objects()
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("token %q has %d secret keys with the label %q, one is needed: mpc-node auto-unseal make-key makes one", k.cfg.TokenLabel, len(found), k.cfg.KeyLabel)
	}
	k.object = found[0]
	for _, want := range []struct {
		*pkcs11.Attribute
		what string
	}{
		{pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES), "is no AES key"},
		{pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, keySize), "is not of 256 bits"},
		{pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), "can be read out of the token"},
		{pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false), "can be exported from the token"},
	} {
		got, err := k.module.GetAttributeValue(k.session, k.object, []*pkcs11.Attribute{pkcs11.NewAttribute(want.Type, nil)})
		if err != nil {
			return fmt.Errorf("token %q: look at key %q: %w", k.cfg.TokenLabel, k.cfg.KeyLabel, err)
		}
		if len(got) != 1 || string(got[0].Value) != string(want.Value) {
			return fmt.Errorf("key %q of token %q %s: make another, mpc-node auto-unseal make-key", k.cfg.KeyLabel, k.cfg.TokenLabel, want.what)
		}
	}
	return nil
}

// Name implements keystore.OutsideKey.
func (k *key) Name() string { return k.cfg.Name() }

// Wrap implements keystore.OutsideKey: nonce ‖ AES-256-GCM.
func (k *key) Wrap(master, place []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	params := pkcs11.NewGCMParams(nonce, place, tagBits)
	defer params.Free()
	if err := k.module.EncryptInit(k.session, gcm(params), k.object); err != nil {
		return nil, k.failed("encrypt (AES-GCM)", err)
	}
	sealed, err := k.module.Encrypt(k.session, master)
	if err != nil {
		return nil, k.failed("encrypt (AES-GCM)", err)
	}
	if used := params.IV(); len(used) == nonceSize { // some tokens take a nonce of their own
		nonce = used
	}
	return append(nonce, sealed...), nil
}

// Unwrap implements keystore.OutsideKey.
func (k *key) Unwrap(wrapped, place []byte) ([]byte, error) {
	if len(wrapped) < nonceSize+tagBits/8 {
		return nil, errors.New("what the token wrapped is cut short")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	params := pkcs11.NewGCMParams(wrapped[:nonceSize], place, tagBits)
	defer params.Free()
	if err := k.module.DecryptInit(k.session, gcm(params), k.object); err != nil {
		return nil, k.failed("decrypt (AES-GCM)", err)
	}
	master, err := k.module.Decrypt(k.session, wrapped[nonceSize:])
	if err != nil {
		return nil, k.failed("decrypt (AES-GCM): is it the key that auto-unseal was enabled with?", err)
	}
	return master, nil
}

func gcm(params *pkcs11.GCMParams) []*pkcs11.Mechanism {
	return []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}
}

func (k *key) failed(what string, err error) error {
	return fmt.Errorf("token %q, key %q: %s: %w", k.cfg.TokenLabel, k.cfg.KeyLabel, what, err)
}

// Close implements Key.
func (k *key) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.module == nil {
		return nil
	}
	if k.session != 0 {
		_ = k.module.Logout(k.session)
		_ = k.module.CloseSession(k.session)
	}
	err := k.module.Finalize()
	k.module.Destroy()
	k.module = nil
	return err
}
