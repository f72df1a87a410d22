package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/wire"
)

// forgetful is a store that keeps of a decision only what the next one reads again: what a ledger takes over it is the ledger's own.
type forgetful map[string]map[string][]byte

func newForgetful() forgetful {
	return forgetful{auditlog.BucketLeaf: {}, auditlog.BucketHead: {}, "meta": {}}
}

func (s forgetful) View(_ context.Context, fn func(ledger.Reader) error) error { return fn(s) }
func (s forgetful) Update(_ context.Context, fn func(ledger.Tx) error) error   { return fn(s) }

func (s forgetful) Get(bucket string, key []byte) ([]byte, error) {
	return s[bucket][string(key)], nil
}

func (s forgetful) Scan(string, []byte, []byte, bool, func(key, value []byte) (bool, error)) error {
	return nil
}

func (s forgetful) Put(bucket string, key, value []byte) error {
	if b, kept := s[bucket]; kept {
		b[string(key)] = value
	}
	return nil
}

func (s forgetful) Delete(bucket string, key []byte) error {
	delete(s[bucket], string(key))
	return nil
}

// BenchmarkDecide is what the ledger itself takes for a decision of a payment's size that is counted in three windows of two
// series, with an evaluation and a reply that cost nothing.
func BenchmarkDecide(b *testing.B) {
	l := ledgertest.MustOpen(b, newForgetful(), nil)
	v := ledgertest.Verdict(wire.Approve, nil)
	var input strings.Builder // which can be packed as well as a real one
	for i := range 25 {
		input.WriteString(strings.Repeat(fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i)})), 2))
	}
	v.Input = fmt.Appendf(nil, "%q", input.String())
	asks := make([]ledger.Ask, 1024)
	for i := range asks {
		a := ledgertest.Ask("", fmt.Sprint("body-", i))
		a.RequestID = fmt.Sprint("request-", i)
		a.Execution = &ledger.Execution{
			Anchors: []ledger.Hash{a.BodyHash}, Bindings: []ledger.Binding{{What: "payment", Name: a.BodyHash, Value: a.IntentHash}},
			Charges: []ledger.Charge{
				{Series: fmt.Sprint("amount ", i%50), Amount: big.NewInt(1_000_000), Windows: []ledger.Window{
					{ID: "day", Period: ledger.Period{Rolling: 24 * time.Hour}}, {ID: "calendar day", Period: ledger.Period{Calendar: ledger.CalendarDay}}}},
				{Series: fmt.Sprint("count ", i%50), Amount: big.NewInt(1), Windows: []ledger.Window{{ID: "month", Period: ledger.Period{Calendar: ledger.CalendarMonth}}}},
			},
		}
		asks[i] = a
	}
	give := ledgertest.Give(v)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a := asks[i%len(asks)]
		a.CallbackID = strconv.Itoa(i)
		if _, err := l.Decide(context.Background(), a, give, ledgertest.Reply); err != nil {
			b.Fatal(err)
		}
	}
}
