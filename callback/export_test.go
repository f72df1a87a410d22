package callback

import "github.com/countersign-mpc/countersign/ledger"

// SealForTest and OpenForTest seal and open in the place of a result of node a.
func SealForTest(k *ResultKey, callbackID string, plain []byte) []byte {
	return k.seal(&ledger.Ask{Node: "a", CallbackID: callbackID}, plain)
}

// OpenForTest is the other way.
func OpenForTest(k *ResultKey, callbackID string, sealed []byte) ([]byte, error) {
	return k.open(&ledger.Ask{Node: "a", CallbackID: callbackID}, sealed)
}
