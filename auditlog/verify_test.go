package auditlog_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
)

func key8(n int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// rewrite replaces entry i and its own hash, and, with all set, every hash above it, as who has the file can.
func rewrite(t *testing.T, l *auditlog.Log, m *memory, i int, data string, all bool) {
	t.Helper()
	if all {
		size, err := l.Size(m)
		must(t, err)
		anew := newMemory()
		for j := range int(size) {
			e := m.entries[string(ref(j))]
			if j == i {
				e = []byte(data)
			}
			_, err := l.Append(anew, ref(j), e)
			must(t, err)
		}
		m.values[auditlog.BucketLeaf] = anew.values[auditlog.BucketLeaf]
	} else {
		v := m.values[auditlog.BucketLeaf][key8(int64(i))]
		h := auditlog.EntryHash([]byte(data))
		copy(v[2+v[1]:], h[:])
	}
	m.entries[string(ref(i))] = []byte(data)
}

func TestVerify(t *testing.T) {
	const n = 3000 // more than one chunk, and than one kept checkpoint
	tests := []struct {
		name   string
		damage func(t *testing.T, l *auditlog.Log, m *memory)
		want   []string // each is in one problem; and every problem has one
	}{
		{"whole", func(*testing.T, *auditlog.Log, *memory) {}, nil},
		{"changed", func(_ *testing.T, _ *auditlog.Log, m *memory) { m.entries["ref-7"] = []byte("x") }, []string{"entry 7: it is not what was recorded"}},
		{"missing", func(_ *testing.T, _ *auditlog.Log, m *memory) { delete(m.entries, "ref-700") }, []string{"entry 700: "}},
		{"first and last", func(_ *testing.T, _ *auditlog.Log, m *memory) {
			m.entries["ref-0"], m.entries["ref-2999"] = nil, []byte("x")
			delete(m.entries, "ref-0")
		}, []string{"entry 0: ", "entry 2999: "}},
		{"two swapped", func(_ *testing.T, _ *auditlog.Log, m *memory) {
			m.entries["ref-5"], m.entries["ref-1500"] = m.entries["ref-1500"], m.entries["ref-5"]
		}, []string{"entry 5: another entry stands in its place; it stands in that of entry 1500", "entry 1500: another entry stands in its place; it stands in that of entry 5"}},
		{"three moved on", func(_ *testing.T, _ *auditlog.Log, m *memory) {
			m.entries["ref-5"], m.entries["ref-6"], m.entries["ref-7"] = m.entries["ref-7"], m.entries["ref-5"], m.entries["ref-6"]
		}, []string{"entry 5: another", "entry 6: another", "entry 7: another"}},
		{"hashes gone", func(_ *testing.T, _ *auditlog.Log, m *memory) { delete(m.values[auditlog.BucketLeaf], key8(12)) }, []string{"entry 12: its hashes"}},
		{"changed with its hash", func(t *testing.T, l *auditlog.Log, m *memory) { rewrite(t, l, m, 100, "x", false) }, []string{"entries 100 to 101: their common hash"}},
		{"changed with all hashes", func(t *testing.T, l *auditlog.Log, m *memory) { rewrite(t, l, m, 1500, "x", true) },
			[]string{"entries 1023 to 2046: not what the checkpoint over 2047"}}, // of which the one over 3000 says the same
		{"cut with its size", func(_ *testing.T, _ *auditlog.Log, m *memory) {
			v := m.values[auditlog.BucketHead]["size"]
			binary.BigEndian.PutUint64(v[len(v)-8:], 2500)
			for i := int64(2500); i < n; i++ {
				delete(m.values[auditlog.BucketLeaf], key8(i))
			}
		}, []string{"entries 2500 to 2999: missing"}},
		{"size set back", func(_ *testing.T, _ *auditlog.Log, m *memory) {
			v := m.values[auditlog.BucketHead]["size"]
			binary.BigEndian.PutUint64(v[len(v)-8:], 2999)
		}, []string{"entry 2999: hashes are stored behind", "entry 2999: missing"}},
		{"checkpoint altered", func(_ *testing.T, _ *auditlog.Log, m *memory) {
			c := m.values[auditlog.BucketCheckpoint][key8(1)]
			c[len(c)-10] ^= 1
		}, []string{"a stored checkpoint"}},
		{"removed", func(_ *testing.T, _ *auditlog.Log, m *memory) { m.entries["ref-3"] = nil }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, l := newMemory(), mustLog(t, mustKey(t))
			for i := 0; i < n; i += 1 {
				fill(t, l, m, i, i+1)
				if size := i + 1; size == 1023 || size == 2047 || size == n {
					mustCheckpoint(t, l, m)
				}
			}
			test.damage(t, l, m)
			report, err := l.Verify(context.Background(), m)
			must(t, err)
			checkProblems(t, report, test.want)
			if test.name == "whole" && (report.Checkpoints != 3 || report.Covered != n || report.Size != n) || test.name == "removed" && report.Removed != 1 {
				t.Errorf("report %+v", report)
			}
		})
	}
}

func checkProblems(t *testing.T, report auditlog.Report, want []string) {
	t.Helper()
	all := fmt.Sprintf("%q", report.Problems)
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("no %q among %s", w, all)
		}
	}
	for _, p := range report.Problems {
		known := false
		for _, w := range want {
			known = known || strings.Contains(p.String(), w)
		}
		if !known {
			t.Errorf("reported besides: %s", p)
		}
	}
	if report.OK() != (len(want) == 0) || report.OK() != (report.Err() == nil) {
		t.Errorf("OK is %v, Err %v, with %d problems", report.OK(), report.Err(), len(report.Problems))
	}
}

func TestVerifyStops(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	fill(t, l, m, 0, 10)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Verify(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	boom := errors.New("unreachable")
	if _, err := l.Verify(context.Background(), &failing{memory: m, err: boom}); !errors.Is(err, boom) {
		t.Errorf("%v, want that of the source", err)
	}
}

type failing struct {
	*memory
	err error
}

func (f *failing) Entry(auditlog.Reader, []byte) ([]byte, error) { return nil, f.err }

// TestManyProblems: a log of which everything is gone is reported within bounds.
func TestManyProblems(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	fill(t, l, m, 0, auditlog.MaxProblems+50)
	clear(m.entries)
	report, err := l.Verify(context.Background(), m)
	must(t, err)
	if len(report.Problems) != auditlog.MaxProblems || !report.More {
		t.Errorf("%d problems, more: %v", len(report.Problems), report.More)
	}
}

func TestQuick(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	must(t, l.Quick(m))
	fill(t, l, m, 0, 20)
	must(t, l.Quick(m))
	mustCheckpoint(t, l, m)
	fill(t, l, m, 20, 23)
	must(t, l.Quick(m))
	if err := mustLog(t, mustKey(t)).Quick(m); !errors.Is(err, auditlog.ErrDamaged) {
		t.Errorf("under another key: %v", err)
	}
	v := m.values[auditlog.BucketLeaf][key8(15)]
	v[len(v)-1] ^= 1
	if err := l.Quick(m); !errors.Is(err, auditlog.ErrDamaged) {
		t.Errorf("with a wrong hash at the edge: %v", err)
	}
	v[len(v)-1] ^= 1
	delete(m.values[auditlog.BucketLeaf], key8(22))
	if err := l.Quick(m); !errors.Is(err, auditlog.ErrDamaged) {
		t.Errorf("without the newest entry's hashes: %v", err)
	}
}

func FuzzParseProof(f *testing.F) {
	k := fixedKey(f)
	m, l := newMemory(), mustLog(f, k)
	fill(f, l, m, 0, 13)
	c := mustCheckpoint(f, l, m)
	in, err := l.ProveInclusion(m, 6, c)
	must(f, err)
	grown, err := l.ProveConsistency(m, 5, c)
	must(f, err)
	f.Add(in.Marshal())
	f.Add(grown.Marshal())
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\ncheckpoint\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\ncheckpoint\n"))
	f.Add([]byte("old 0\n\ncheckpoint\n"))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := auditlog.ParseInclusion(data); err == nil && string(p.Marshal()) != string(data) {
			t.Errorf("inclusion proof %q became %q", data, p.Marshal())
		}
		if p, err := auditlog.ParseConsistency(data); err == nil && string(p.Marshal()) != string(data) {
			t.Errorf("consistency proof %q became %q", data, p.Marshal())
		}
		// Whatever else verifies must be the proof that was made: one for another entry would be a forgery.
		if index, _, err := auditlog.CheckInclusion(k.Public(), entry(6), data); err == nil && index != 6 {
			t.Errorf("entry 6 is proven as %d by %q", index, data)
		}
		_, _, _ = auditlog.CheckConsistency(k.Public(), c, data)
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	k := fixedKey(f)
	m, l := newMemory(), mustLog(f, k)
	f.Add(mustCheckpoint(f, l, m))
	fill(f, l, m, 0, 3)
	f.Add(mustCheckpoint(f, l, m))
	f.Add([]byte(origin + "\n9223372036854775807\nAAAA\n\n— " + origin + " AAAAAAAA\n"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if tree, err := auditlog.OpenCheckpoint(signed, k.Public()); err == nil && tree.N != 0 && tree.N != 3 {
			t.Errorf("a checkpoint over %d entries was never signed: %q", tree.N, signed)
		}
	})
}

// TestVerifier: with the public key alone a log is verified, also against a checkpoint kept elsewhere, and never signed.
func TestVerifier(t *testing.T) {
	k := mustKey(t)
	m, l := newMemory(), mustLog(t, k)
	fill(t, l, m, 0, 5)
	kept := mustCheckpoint(t, l, m)
	fill(t, l, m, 5, 9)
	v, err := auditlog.NewVerifier(k.Public())
	must(t, err)
	report, err := v.Verify(context.Background(), m, kept)
	must(t, err)
	if !report.OK() || report.Size != 9 || fmt.Sprint(report.Kept) != "[5]" || v.Public() != k.Public() {
		t.Errorf("report %+v", report)
	}
	if signed, err := v.Checkpoint(m); err == nil {
		t.Errorf("it signed %q", signed)
	}
	rewrite(t, l, m, 2, "x", true)
	report, err = v.Verify(context.Background(), m, kept)
	must(t, err)
	checkProblems(t, report, []string{"entries 0 to 4: not what the checkpoint over 5", "entries 0 to 4: not what the checkpoint kept elsewhere over 5"})
	if _, err := auditlog.NewVerifier("no key"); err == nil {
		t.Error("a verifier without a key")
	}
}
