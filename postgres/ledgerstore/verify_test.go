package ledgerstore_test

import (
	"context"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/postgres/ledgerstore"
)

// spoiledDatabase is a ledger in a database, where rows are altered by hand.
type spoiledDatabase struct {
	cfg   ledgerstore.Config
	store *ledgerstore.Store
}

func (d *spoiledDatabase) Store(*testing.T) ledger.Store { return d.store }

func (d *spoiledDatabase) Close(*testing.T) {}

func (d *spoiledDatabase) Spoil(t *testing.T, bucket string, key []byte) {
	t.Helper()
	set := "value = set_byte(value, length(value) - 1, get_byte(value, length(value) - 1) # 1)"
	conn := admin(t)
	var length int
	must(t, conn.QueryRow(context.Background(), "SELECT length(value) FROM "+d.cfg.Schema+".kv WHERE bucket = $1 AND key = $2", bucket, key).Scan(&length))
	if length == 0 {
		set = "sum = set_byte(sum, 0, get_byte(sum, 0) # 1)"
	}
	tag, err := conn.Exec(context.Background(), "UPDATE "+d.cfg.Schema+".kv SET "+set+" WHERE bucket = $1 AND key = $2", bucket, key)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
}

// TestVerifyNamesAll: over a database, a verification names everything that was altered in it.
func TestVerifyNamesAll(t *testing.T) {
	ledgertest.RunVerify(t, func(t *testing.T) ledgertest.Spoiled {
		cfg := migrated(t)
		return &spoiledDatabase{cfg, mustOpen(t, cfg)}
	})
}
