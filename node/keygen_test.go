package node_test

import (
	"testing"
)

func TestKeygenAndSign(t *testing.T) {
	r := newSigners(t)
	r.mustSign(r.signing())
}
