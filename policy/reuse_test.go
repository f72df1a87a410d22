package policy_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

// TestRoomIsUsedAgain holds that evaluations side by side, which use each other's room, see and say nothing of one another: each gives the
// decision and the bytes that it gives alone, and keeps them.
func TestRoomIsUsedAgain(t *testing.T) {
	e := newEngine(t, trafficData())
	whole := e.Whole()
	inputs := traffic(t, e, 48)
	for i := range inputs {
		in := &inputs[i]
		switch i % 4 {
		case 1: // says the amount
			in.Tx.AmountBase += "00000000000"
		case 2: // says the address
			in.Tx.To = strings.Replace(in.Tx.To, "0x0", "0xf", 1)
		case 3: // says what the window comes to
			in.Windows = map[string]policy.Window{
				"usdt-a-day":       {Used: "0", Reserved: "7", After: in.Tx.AmountBase + "000000000"},
				"payments-a-month": {Used: "0", Reserved: json.Number(in.Windows["payments-a-month"].Reserved), After: "1"},
			}
		}
	}
	wants, recorded := make([]policy.Decision, len(inputs)), make([][]byte, len(inputs))
	for i, in := range inputs {
		wants[i] = decide(t, whole, in)
		var err error
		recorded[i], err = in.Canonical()
		must(t, err)
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			got, written := make([]policy.Decision, len(inputs)), make([][]byte, len(inputs))
			for n := range inputs {
				i := (n*(2*worker+1) + worker) % len(inputs)
				var err error
				if got[i], written[i], err = e.Judge(t.Context(), inputs[i]); err != nil {
					t.Error(err)
				}
			}
			for i := range inputs {
				if written[i] != nil && (!reflect.DeepEqual(got[i], wants[i]) || !bytes.Equal(written[i], recorded[i])) {
					t.Errorf("input %d: %+v, and alone %+v", i, got[i], wants[i])
				}
			}
		})
	}
	all.Wait()
}
