package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/keystore"
)

// AutoKey is a key outside of the store, opened for one use.
type AutoKey interface {
	keystore.OutsideKey
	Close() error
}

// errNoAutoKey: nothing is configured for auto-unseal.
var errNoAutoKey = errors.New("no key for auto-unseal is configured: [storage.auto-unseal] names it")

// AutoUnsealWarning says what a node gives up with auto-unseal.
const AutoUnsealWarning = "auto-unseal is on: whoever can use its key opens this node alone, without a password; the t-of-n guarantee does not hold"

// withAutoKey opens the configured key for fn. fn holds locks while the key is used, so that nothing waits for the key without
// bound: it is given up after Config.AutoWait, and at once when the node is sealed or stopped.
func (n *Node) withAutoKey(ctx context.Context, fn func(keystore.OutsideKey) error) error {
	if n.cfg.AutoKey == nil {
		return errNoAutoKey
	}
	ctx, cancel := context.WithTimeoutCause(ctx, n.cfg.AutoWait, fmt.Errorf("the key of auto-unseal did not answer within %v: look at its token, then try again", n.cfg.AutoWait))
	defer cancel()
	ctx, done, err := n.outside.begin(ctx)
	if err != nil {
		return err
	}
	key, err := await(ctx, n.cfg.AutoKey, func(key AutoKey, err error) {
		if err == nil {
			_ = key.Close()
		}
		done()
	})
	if err != nil {
		if !given(err) {
			done()
		}
		return err
	}
	p := &patientKey{AutoKey: key, ctx: ctx, done: done}
	return errors.Join(fn(p), p.close())
}

// AutoUnseal opens a sealed store by the key that EnableAuto was given. keystore.ErrNoAuto: it was not enabled.
func (n *Node) AutoUnseal(ctx context.Context) error {
	if stat, err := n.cfg.Store.Stat(); err != nil || stat.Auto == "" {
		return errors.Join(err, keystore.ErrNoAuto)
	}
	defer n.do("auto-unseal")()
	return n.withAutoKey(ctx, func(key keystore.OutsideKey) error {
		return n.unsealBy(func() error { return n.cfg.Store.UnsealAuto(ctx, key) })
	})
}

// EnableAuto lets the configured key open the store from now on. The present password must have been given, by Enter for
// EntryReset; this ends that change, and leaves the password as it is. After an error of the key it may be tried again.
func (n *Node) EnableAuto(ctx context.Context) error {
	n.entryMu.Lock()
	defer n.entryMu.Unlock()
	defer n.noteEntry()
	n.expireEntry()
	if n.entry.change == nil {
		return errors.New("the present password was not given, or more than ten minutes ago: run reset first, then auto-unseal enable")
	}
	defer n.do("auto-unseal enable")()
	err := n.withAutoKey(ctx, func(key keystore.OutsideKey) error { return n.entry.change.EnableAuto(ctx, key) })
	if err != nil && !errors.Is(err, keystore.ErrUnscrubbed) {
		return err
	}
	n.dropChange()
	n.cfg.Log.Warn("auto-unseal enabled: the t-of-n guarantee does not hold any more")
	return err
}

// DisableAuto ends auto-unseal. The node must be unsealed; the key is not needed.
func (n *Node) DisableAuto(ctx context.Context) error {
	err := n.cfg.Store.DisableAuto(ctx)
	if err == nil || errors.Is(err, keystore.ErrUnscrubbed) {
		n.cfg.Log.Info("auto-unseal disabled")
	}
	return err
}

// autoUnseal names the key that opens the store beside the password; empty: none does.
func (n *Node) autoUnseal() string {
	stat, err := n.cfg.Store.Stat()
	if err != nil {
		return ""
	}
	return stat.Auto
}
