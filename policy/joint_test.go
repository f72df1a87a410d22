package policy_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestJointMemory holds that what is remembered of all of an input gives the decisions that the policy as a whole gives, and that inputs
// that are never alike do not fill it.
func TestJointMemory(t *testing.T) {
	e := newEngine(t, demoData())
	whole, in := e.Whole(), transfer(e, "1500000000")
	check := func(wallet int) {
		t.Helper()
		in.Tx.WalletID = fmt.Sprint(wallet)
		got := decide(t, e, in)
		if wallet%256 == 0 && !reflect.DeepEqual(got, decide(t, whole, in)) {
			t.Errorf("wallet %d: %+v, and as a whole %+v", wallet, got, decide(t, whole, in))
		}
	}
	check(0)
	check(0)
	if e.Joint() != 1 {
		t.Fatalf("%d answers are remembered for one kind of input", e.Joint())
	}
	for wallet := range policy.MaxJoint + 512 {
		check(wallet)
	}
	if n := e.Joint(); n < policy.MaxJoint || n > policy.MaxJoint+16 {
		t.Errorf("%d answers are remembered of inputs that are not alike", n)
	}
	check(0)
	check(policy.MaxJoint + 256)
}
