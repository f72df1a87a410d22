package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// fillers is how many decisions are made side by side: as many as share a commit.
const fillers = 64

// fill puts n decisions into the ledger in dir, each of the size and shape of a real one, without their evaluation.
func fill(ctx context.Context, dir string, n int) (err error) {
	store, err := ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(dir, ledgerFile)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var books *ledger.Ledger
	if err := openLedger(ctx, store, &books); err != nil {
		return err
	}
	var next atomic.Int64
	errs := make([]error, fillers)
	var wg sync.WaitGroup
	for worker := range fillers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n) && errs[worker] == nil; i = next.Add(1) {
				errs[worker] = fillOne(ctx, books, int(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// The sizes of what is recorded of an ERC-20 transfer, in bytes.
const (
	inputSize = 3200
	replySize = 400
)

func fillOne(ctx context.Context, books *ledger.Ledger, i int) error {
	id := fmt.Sprintf("old-%024d", i)
	hash := func(what string) ledger.Hash { return sha256.Sum256([]byte(what + id)) }
	digest := hash("digest")
	ask := ledger.Ask{
		Node: "node", Path: wire.PathCheck, CallbackID: id, BodyHash: hash("body"), SinoID: "s-" + id, RequestID: "r-" + id,
		RequestType: wire.TypeSign, IntentHash: hash("intent"), Digests: [][]byte{digest[:]},
		Execution: &ledger.Execution{Anchors: []ledger.Hash{hash("anchor")}, Charges: []ledger.Charge{
			{Series: fmt.Sprint("amount ", i%wallets), Amount: big.NewInt(1_000_000), Windows: []ledger.Window{{ID: "day", Period: ledger.Period{Rolling: 24 * time.Hour}}}},
			{Series: fmt.Sprint("count ", i%paths), Amount: big.NewInt(1), Windows: []ledger.Window{{ID: "month", Period: ledger.Period{Calendar: ledger.CalendarMonth}}}},
		}},
	}
	_, err := books.Decide(ctx, ask,
		func(context.Context, ledger.State) (ledger.Verdict, error) {
			return ledger.Verdict{
				Action: wire.Approve, Revision: strings.Repeat("0", 64), Input: fmt.Appendf(nil, `{"id":%q,"pad":"%s"}`, id, strings.Repeat("x", inputSize)),
				Reasons: []ledger.Reason{{Rule: "limit.per_transaction", Severity: wire.Approve, Message: "The amount is within every limit"}},
				Fired:   []string{"limit.per_transaction"},
			}, nil
		},
		func(ledger.Outcome) ([]byte, error) { return []byte(strings.Repeat("r", replySize)), nil })
	return err
}
