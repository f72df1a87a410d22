package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// testAttachments: what is kept beside a decision is written and removed with it, found again, and listed.
func testAttachments(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	var ids []string
	for i := range 6 {
		v := Verdict(wire.Approve, nil)
		if i%2 == 1 {
			v.Attachment = fmt.Appendf(nil, "kept beside %d", i)
		}
		if i == 5 {
			v.Attachment = []byte{}
		}
		ids = append(ids, MustDecide(t, l, Ask(fmt.Sprint("cb-", i), fmt.Sprint("body-", i%2)), v).ID)
		clock.Advance(time.Second)
	}
	again := Verdict(wire.Approve, nil)
	again.Attachment = []byte("another one")
	if res := MustDecide(t, l, Ask("cb-1", "body-1"), again); !res.Replayed || res.ID != ids[1] {
		t.Errorf("asked again: %+v", res)
	}
	for i, name := range ids {
		got, err := l.Attachment(ctx, name)
		want := map[int]string{1: "kept beside 1", 3: "kept beside 3", 5: ""}
		if text, kept := want[i]; kept && (err != nil || string(got) != text) || !kept && !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("beside %d: %q, %v", i, got, err)
		}
	}
	for _, name := range []string{"zz", strings.Repeat("0", 32)} {
		if _, err := l.Attachment(ctx, name); !errors.Is(err, ledger.ErrInvalid) && !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("beside %q: %v", name, err)
		}
	}
	list := func(f ledger.Filter, limit int) string {
		var got []string
		for cursor := ""; ; {
			page, err := l.Decisions(ctx, f, limit, cursor)
			must(t, err)
			for _, d := range page.Decisions {
				if d.Attachment == nil {
					t.Errorf("%s has no attachment", d.Ask.CallbackID)
				}
				got = append(got, d.Ask.CallbackID)
			}
			if cursor = page.Next; cursor == "" {
				return strings.Join(got, " ")
			}
		}
	}
	for _, limit := range []int{0, 1, 2} {
		if got := list(ledger.Filter{Attached: true}, limit); got != "cb-5 cb-3 cb-1" {
			t.Errorf("listed by %d: %s", limit, got)
		}
	}
	for got, f := range map[string]ledger.Filter{
		"cb-3":           {CallbackID: "cb-3", Attached: true},
		"":               {CallbackID: "cb-2", Attached: true},
		"cb-5 cb-3 cb-1": {RequestID: "request-body-1", Attached: true},
	} {
		if list := list(f, 2); list != got {
			t.Errorf("%+v: %s, want %s", f, list, got)
		}
	}
	checkRetention(t, l, ids)
}

func checkRetention(t *testing.T, l *ledger.Ledger, ids []string) {
	ctx := context.Background()
	verify := func() {
		t.Helper()
		report, err := l.Verify(ctx)
		must(t, err)
		if !report.OK() {
			t.Errorf("verify: %+v", report)
		}
	}
	verify()
	if _, err := l.Prune(ctx, Epoch.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Attachment(ctx, ids[1]); !errors.Is(err, ledger.ErrExpired) {
		t.Errorf("what retention has removed: %v", err)
	}
	if got, err := l.Attachment(ctx, ids[3]); err != nil || string(got) != "kept beside 3" {
		t.Errorf("what was kept: %q, %v", got, err)
	}
	page, err := l.Decisions(ctx, ledger.Filter{Attached: true}, 0, "")
	must(t, err)
	if len(page.Decisions) != 2 {
		t.Errorf("%d are listed, want 2", len(page.Decisions))
	}
	verify()
}
