package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	id1 = "0123456789abcdef0123456789abcdef"
	id2 = "f123456789abcdef0123456789abcde0"
)

// fixedApprover has an Ed25519 key of SPKI DER that is written out, so that formats can be compared with fixed bytes.
func fixedApprover(t testing.TB, name string, last byte) ledger.Approver {
	t.Helper()
	der, err := hex.DecodeString("302a300506032b6570032100" + strings.Repeat("11", 31))
	must(t, err)
	return ledger.Approver{Name: name, PublicKey: append(der, last)}
}

func sampleRequirement(t testing.TB) *ledger.Requirement {
	r := &ledger.Requirement{
		Rule: "large", Group: "treasury", GroupRevision: "g7", Threshold: 2, LifetimeSeconds: 3600, NotRequester: true, RejectionFinal: true,
		Approvers: []ledger.Approver{fixedApprover(t, "alice", 1), fixedApprover(t, "bob", 2)},
	}
	r.Approvers[1].RequesterKeyIDs = []string{"k1", "k2"}
	return r
}

func sampleEntries(t testing.TB) []ledger.Entry {
	ask := ledgertest.Ask("cb", "body")
	ask.Requester = "who asked"
	at := time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)
	full := &ledger.Record{
		ID: id1, Time: at, Ask: ask, Action: wire.Wait, Verdict: wire.Approve,
		Reasons:     []ledger.Reason{{Rule: "a", Severity: wire.Reject, Message: "m"}, {Rule: "", Severity: wire.Wait}},
		WaitSeconds: 30, Requirement: sampleRequirement(t), Revision: "r", Fired: []string{"x", ""}, ClockJumped: true,
		Approval: id2, Opened: true, Voided: []string{id1, id2}, Input: json.RawMessage("{ }"), Reply: []byte("reply"),
	}
	return []ledger.Entry{
		{Decision: full},
		{Decision: &ledger.Record{ID: id2, Time: at, Action: wire.Reject, Verdict: wire.Reject, Reply: []byte{0}}},
		{Vote: &ledger.VoteRecord{ID: id1, Time: at, Approval: id2, KeyID: "key", Vote: ledger.Vote{Approver: "alice", Decision: ledger.VoteReject, Signature: []byte{1}, Time: at}}},
		{Decision: &ledger.Record{ID: id2, Time: at, Action: wire.Approve, Verdict: wire.Approve, Reply: []byte{1}, Attachment: &ask.BodyHash}},
		{Clock: &ledger.ClockRecord{ID: id1, Time: at, Before: at.Add(-time.Hour), Operator: "op", Reason: "ntp"}},
		{Activation: &ledger.ActivationRecord{ID: id1, Time: at, Number: 2, From: "r1", To: "r2", Content: ask.BodyHash, How: ledger.ActivatedFiles, Operator: "op", Reason: "r"}},
		{Activation: &ledger.ActivationRecord{ID: id1, Time: at, Number: 3, From: "r2", To: "r3", How: ledger.ActivatedProposal, Operator: "op", Proposal: id2, Diff: ask.BodyHash,
			Effect: ask.IntentHash, Votes: []ledger.Vote{{Approver: "alice", Decision: ledger.VoteApprove, Signature: []byte{1}, Time: at}}}},
		{Proposal: &ledger.ProposalRecord{ID: id1, Time: at, Terms: ask.BodyHash, From: "r1", To: "r2", Content: ask.IntentHash, Proposer: "op", Reason: "r"}},
		{PolicyVote: &ledger.PolicyVoteRecord{ID: id1, Time: at, Proposal: id2, KeyID: "key", Vote: ledger.Vote{Approver: "alice", Decision: ledger.VoteReject, Signature: []byte{1}, Time: at}}},
		{Activation: &ledger.ActivationRecord{ID: id1, Time: at, Number: 2, From: "r1", To: "r2", How: ledger.ActivatedPolicy, Operator: "op", GuardKnown: true}},
		{Activation: &ledger.ActivationRecord{ID: id1, Time: at, Number: 3, From: "r2", To: "r3", How: ledger.ActivatedProposal, Operator: "op", Proposal: id2,
			GuardKnown: true, Guard: &ledger.Guard{Requirement: *sampleRequirement(t), MinJudged: 5, RollbackSeconds: 600}}},
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for i, e := range sampleEntries(t) {
		b, err := e.Marshal()
		must(t, err)
		got, err := ledger.ParseEntry(b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("entry %d became %+v (%v), want %+v", i, got, err, e)
		}
		if got.ID() != e.ID() || !got.Time().Equal(e.Time()) {
			t.Errorf("entry %d is of %s, %s", i, got.ID(), got.Time())
		}
		for n := range b {
			if _, err := ledger.ParseEntry(b[:n]); !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("entry %d cut off at %d: %v", i, n, err)
			}
		}
		if _, err := ledger.ParseEntry(append(b, 0)); !errors.Is(err, ledger.ErrDamaged) {
			t.Errorf("entry %d with a byte more: %v", i, err)
		}
	}
	for _, bad := range []ledger.Entry{{}, {Decision: &ledger.Record{ID: "x", Action: wire.Wait, Verdict: wire.Wait}}, {Decision: &ledger.Record{ID: id1, Action: "WAIT", Verdict: wire.Wait}}} {
		if _, err := bad.Marshal(); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%+v is written: %v", bad, err)
		}
	}
}

// TestFixedBytes holds the formats to what docs/FORMATS.md says: what is stored and signed must not change unnoticed.
func TestFixedBytes(t *testing.T) {
	var sums []string
	for _, e := range sampleEntries(t) {
		b, err := e.Marshal()
		must(t, err)
		s := sha256.Sum256(b)
		sums = append(sums, hex.EncodeToString(s[:8]))
	}
	field := func(s string) string { return string([]byte{0, 0, 0, byte(len(s))}) + s }
	r := sampleRequirement(t)
	requirement := sha256.Sum256([]byte("countersign/approval-condition/v1\x00" + field("large") + field("treasury") + field("g7") +
		field("\x00\x00\x00\x02") + field("\x00\x00\x00\x00\x00\x00\x0e\x10") + field("\x03") + field("\x00\x00\x00\x02") +
		field("alice") + field(string(r.Approvers[0].PublicKey)) + field("\x00\x00\x00\x00") +
		field("bob") + field(string(r.Approvers[1].PublicKey)) + field("\x00\x00\x00\x02") + field("k1") + field("k2")))
	slices.Reverse(r.Approvers) // in whatever order
	if got := r.Hash(); got != requirement {
		t.Errorf("requirement hash %s, want %x", got, requirement)
	}
	intent := sha256.Sum256([]byte("intent"))
	a := ledger.Approval{
		ID: id1, IntentHash: intent, Digests: []ledger.Hex{[]byte("d1"), []byte("d2")}, Requirement: *r, Expires: time.Unix(0x11223344, 0),
		RequirementHash: sha256.Sum256([]byte("what somebody says it is")),
	}
	want := "countersign/approval/v1\x00" + field(id1) + field(string(intent[:])) + field("\x00\x00\x00\x02") + field("d1") + field("d2") +
		field("approve") + field("treasury") + field("\x00\x00\x00\x00\x11\x22\x33\x44") + field(string(requirement[:]))
	if got := ledger.ApprovalSigningBytes(a, ledger.VoteApprove); string(got) != want {
		t.Errorf("signing bytes %q, want %q", got, want)
	}
	if got, want := strings.Join(sums, " "), fixedSums; got != want {
		t.Errorf("entries hash to %s, want %s: if a format was changed, give it a new version", got, want)
	}
}

const fixedSums = "081ea6ddc0a56f66 835a6bc6d15831ce 278a529ea59ba3bf d86d3af1fce5d769 42f4786cfccfb716 " +
	"774779c599c75639 d97ebbc5a46f0059 0a76d383daba38ef 6191930ba2701ccf e58bd866a51c0704 07983fa0e5c4b8f7"

func FuzzParseEntry(f *testing.F) {
	for _, e := range sampleEntries(f) {
		b, err := e.Marshal()
		must(f, err)
		f.Add(b)
	}
	f.Add([]byte("CSLE\x01"))
	f.Add([]byte("CSLE\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ledger.ParseEntry(data)
		if err != nil {
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("%v is no ErrDamaged", err)
			}
			return
		}
		if again, err := e.Marshal(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x became %x (%v)", data, again, err)
		}
	})
}

func FuzzParseApproval(f *testing.F) {
	l := ledgertest.MustOpen(f, memstore.New(), ledgertest.NewClock())
	alice := ledgertest.NewApprover(f, "alice")
	res := ledgertest.MustDecide(f, l, ledgertest.Ask("cb", "body"), ledgertest.Verdict(wire.Wait, ledgertest.Require(1, alice, ledgertest.NewEd25519Approver(f, "bob"))))
	rec, err := l.Decision(context.Background(), res.ID)
	must(f, err)
	a, err := l.Approval(context.Background(), rec.Approval)
	must(f, err)
	for range 2 {
		b, err := ledger.MarshalStoredApproval(&a)
		must(f, err)
		f.Add(b)
		a, err = l.SubmitApproval(context.Background(), a.ID, alice.Sign(f, a, ledger.VoteApprove))
		must(f, err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ledger.ParseStoredApproval(data)
		if err != nil {
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("%v is no ErrDamaged", err)
			}
			return
		}
		if again, err := ledger.MarshalStoredApproval(a); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x became %x (%v)", data, again, err)
		}
	})
}

func TestText(t *testing.T) {
	h := ledger.Hash(sha256.Sum256([]byte("x")))
	b, err := json.Marshal(map[string]any{"h": h, "b": ledger.Hex{0xAB, 1}})
	must(t, err)
	if want := `{"b":"ab01","h":"` + hex.EncodeToString(h[:]) + `"}`; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	var back struct {
		H ledger.Hash
		B ledger.Hex
	}
	must(t, json.Unmarshal(b, &back))
	if back.H != h || back.B.String() != "ab01" {
		t.Errorf("read back %+v", back)
	}
	for _, bad := range []string{`{"h":"ab"}`, `{"h":"` + strings.Repeat("zz", 32) + `"}`, `{"b":"a"}`, `{"b":"zz"}`} {
		if err := json.Unmarshal([]byte(bad), &back); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestApprovalJSON: what the admin API gives out is enough to make the bytes to be signed.
func TestApprovalJSON(t *testing.T) {
	l := ledgertest.MustOpen(t, memstore.New(), ledgertest.NewClock())
	alice := ledgertest.NewApprover(t, "alice")
	ledgertest.MustDecide(t, l, ledgertest.Ask("cb", "body"), ledgertest.Verdict(wire.Wait, ledgertest.Require(1, alice)))
	all, err := l.Approvals(context.Background(), false)
	must(t, err)
	b, err := json.Marshal(all[0])
	must(t, err)
	var back ledger.Approval
	must(t, json.Unmarshal(b, &back))
	if !bytes.Equal(ledger.ApprovalSigningBytes(back, ledger.VoteApprove), ledger.ApprovalSigningBytes(all[0], ledger.VoteApprove)) {
		t.Errorf("other bytes after JSON %s", b)
	}
	if back.RequirementHash != back.Requirement.Hash() {
		t.Error("the requirement's hash cannot be computed from what was given out")
	}
}
