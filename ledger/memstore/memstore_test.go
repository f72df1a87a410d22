package memstore_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
)

func TestSuite(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) ledger.Store { return memstore.New() })
}
