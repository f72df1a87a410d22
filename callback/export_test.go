package callback

import (
	"context"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// SealForTest and OpenForTest seal and open in the place of a result of node a.
func SealForTest(k *ResultKey, callbackID string, plain []byte) []byte {
	return k.seal(&ledger.Ask{Node: "a", CallbackID: callbackID}, plain)
}

// OpenForTest is the other way.
func OpenForTest(k *ResultKey, callbackID string, sealed []byte) ([]byte, error) {
	return k.open(&ledger.Ask{Node: "a", CallbackID: callbackID}, sealed)
}

// ShadowQueue makes the shadow's queue one of n places. The server must not be serving yet.
func (s *Server) ShadowQueue(n int) { s.shadow.queue = make(chan Past, n) }

// HoldPolicy keeps the active policy from being changed or loaded until release is called.
func (s *Server) HoldPolicy() (release func()) {
	s.active.changing <- struct{}{}
	return s.active.changing.unlock
}

// EffectOver makes proposals be judged over at most n recorded decisions.
func (s *Server) EffectOver(n int) { s.effectMost = n }

// PaymentOf is what of a tx_info is bound to the payment.
func PaymentOf(txInfo []byte) ([]byte, error) { return paymentOf(nil, txInfo) }

// RecentInputs are those that the next policy is warmed up with.
func (s *Server) RecentInputs() [][]byte { return s.recent.all() }

// Recent keeps inputs as a server does, and returns those that it has in the end.
func Recent(inputs [][]byte) [][]byte {
	var r recentInputs
	for _, b := range inputs {
		r.add(b)
	}
	return r.all()
}

// Derived is the key that signs at a path, its EVM address, and how many such keys are remembered.
func Derived(k *Keys, root, path string) (key []byte, address string, remembered int, err error) {
	s, err := k.known(&wire.RequestDetail{PublicKey: root, Path: path})
	k.derived.mu.Lock()
	defer k.derived.mu.Unlock()
	return s.key, s.evmAddress(), len(k.derived.known), err
}

// MaxDerived is how many they may be.
const MaxDerived = maxDerived

// FollowShadow is what a server does again and again to have the shadow that is set.
func (s *Server) FollowShadow(ctx context.Context) { s.followShadow(ctx) }

// Decimal is how the numbers of windows are written.
var Decimal = decimal

// IsDecimal, IsLowerHex and IsHex tell digits; CryptographyOf tells what a public key in hex is of.
var (
	IsDecimal      = isDecimal
	IsLowerHex     = isLowerHex
	IsHex          = isHex
	CryptographyOf = cryptographyOf
)

// Within is a context that ends in time, and what releases it.
func Within(parent context.Context, d time.Duration) (ctx context.Context, release func()) {
	limited := within(parent, d)
	return limited, limited.release
}

// Hit counts the rules of a decision.
func (s *Server) Hit(fired []string, reasons []ledger.Reason) { s.metrics.hit(fired, reasons) }

// KeptHits is how many sets of rules are remembered.
const KeptHits = keptHits
