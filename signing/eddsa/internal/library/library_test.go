package library_test

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

func config(session string, self signing.PartyID, threshold int, parties ...signing.PartyID) library.Config {
	return library.Config{Session: sha256.Sum256([]byte(session)), Self: self, Parties: parties, Threshold: threshold}
}

// run is what the parties of one honest run said.
type run struct {
	config  map[signing.PartyID]library.Config
	party   map[signing.PartyID]*library.Party
	commits map[signing.PartyID][32]byte
	opens   map[signing.PartyID]*frame.Open
	shares  map[signing.PartyID]map[signing.PartyID]*edwards25519.Scalar // by receiver, sender
}

// open runs all parties up to where everything is on the table.
func open(t testing.TB, session string, threshold int, parties ...signing.PartyID) *run {
	t.Helper()
	r := &run{
		config: map[signing.PartyID]library.Config{}, party: map[signing.PartyID]*library.Party{},
		commits: map[signing.PartyID][32]byte{}, opens: map[signing.PartyID]*frame.Open{},
		shares: map[signing.PartyID]map[signing.PartyID]*edwards25519.Scalar{},
	}
	for _, id := range parties {
		r.config[id] = config(session, id, threshold, parties...)
		p, commitment, err := library.Start(r.config[id])
		if err != nil {
			t.Fatal(err)
		}
		r.party[id], r.commits[id] = p, commitment
		r.shares[id] = map[signing.PartyID]*edwards25519.Scalar{}
	}
	for _, id := range parties {
		own, shares, err := r.party[id].Commitments(r.commits)
		if err != nil {
			t.Fatal(err)
		}
		r.opens[id] = own
		for to, share := range shares {
			r.shares[to][id] = share
		}
	}
	return r
}

// TestRun uses indices with gaps, in which a party's place is not its index.
func TestRun(t *testing.T) {
	parties := []signing.PartyID{2, 5, 9}
	r := open(t, "run", 2, parties...)
	secrets := map[signing.PartyID]*edwards25519.Scalar{}
	for _, id := range parties {
		for _, of := range parties {
			if err := r.config[id].Proof(of, r.commits[of], r.opens[of]); err != nil {
				t.Errorf("%s about %s: %v", id, of, err)
			}
			if share := r.shares[id][of]; of != id {
				if new(edwards25519.Point).ScalarBaseMult(share).Equal(library.Evaluate(r.opens[of].Coefficients, id)) != 1 {
					t.Errorf("the share of %s for %s is not on its polynomial", of, id)
				}
			}
		}
		result, err := r.party[id].Openings(r.opens, r.shares[id])
		if err != nil {
			t.Fatal(err)
		}
		if new(edwards25519.Point).ScalarBaseMult(result.Secret).Equal(result.PublicShares[id]) != 1 {
			t.Errorf("%s: its secret is not that of its public share", id)
		}
		secrets[id] = result.Secret
		// The key is interpolated from the public shares at the indices 2 and 5, by hand: 5/3 and -2/3.
		third := edwards25519.NewScalar().Invert(edwards.Scalar(3))
		a := edwards25519.NewScalar().Multiply(edwards.Scalar(5), third)
		b := edwards25519.NewScalar().Negate(edwards25519.NewScalar().Multiply(edwards.Scalar(2), third))
		key := new(edwards25519.Point).VarTimeMultiScalarMult([]*edwards25519.Scalar{a, b},
			[]*edwards25519.Point{result.PublicShares[2], result.PublicShares[5]})
		if key.Equal(result.PublicKey) != 1 {
			t.Errorf("%s: the indices are not the x coordinates of the shares", id)
		}
	}
	if secrets[2].Equal(secrets[5]) == 1 {
		t.Error("two parties have the same secret")
	}
}

// TestProofsAreOfOneSession: what a party opened holds in its session, for itself, and nowhere else.
func TestProofsAreOfOneSession(t *testing.T) {
	r := open(t, "one", 2, 1, 2, 3)
	good := r.config[1]
	if err := good.Proof(2, r.commits[2], r.opens[2]); err != nil {
		t.Fatal(err)
	}
	other := good
	other.Session = sha256.Sum256([]byte("another"))
	fewer := good
	fewer.Parties = []signing.PartyID{1, 2}
	more := good
	more.Threshold = 3
	for name, c := range map[string]struct {
		config     library.Config
		of         signing.PartyID
		commitment [32]byte
	}{
		"another session":    {other, 2, r.commits[2]},
		"other parties":      {fewer, 2, r.commits[2]},
		"another threshold":  {more, 2, r.commits[2]},
		"another party":      {good, 3, r.commits[2]},
		"another commitment": {good, 2, r.commits[3]},
		"no commitment":      {good, 2, [32]byte{}},
	} {
		if err := c.config.Proof(c.of, c.commitment, r.opens[2]); err == nil {
			t.Errorf("%s: the proof holds", name)
		}
	}
	for name, change := range map[string]func(*frame.Open){
		"blind":              func(o *frame.Open) { o.Blind[0] ^= 1 },
		"no coefficients":    func(o *frame.Open) { o.Coefficients = nil },
		"one coefficient":    func(o *frame.Open) { o.Coefficients = o.Coefficients[:1] },
		"three coefficients": func(o *frame.Open) { o.Coefficients = append(o.Coefficients[:2:2], o.ProofPoint) },
		"other order":        func(o *frame.Open) { o.Coefficients = []*edwards25519.Point{o.Coefficients[1], o.Coefficients[0]} },
		"proof point":        func(o *frame.Open) { o.ProofPoint = o.Coefficients[1] },
		"proof scalar":       func(o *frame.Open) { o.ProofScalar = edwards.Scalar(1) },
	} {
		o := *r.opens[2]
		change(&o)
		if err := good.Proof(2, r.commits[2], &o); err == nil {
			t.Errorf("%s: the proof holds", name)
		}
	}
}

// TestMissingInput: what is not there is an error, not a wait.
func TestMissingInput(t *testing.T) {
	r := open(t, "missing", 2, 1, 2)
	p, _, err := library.Start(r.config[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Commitments(nil); err == nil {
		t.Error("went on without commitments")
	}
	short := *r.opens[2]
	short.Coefficients = short.Coefficients[:1]
	for name, opens := range map[string]map[signing.PartyID]*frame.Open{"none": nil, "short": {2: &short}} {
		if _, err := r.party[1].Openings(opens, r.shares[1]); err == nil {
			t.Errorf("%s: went on", name)
		}
	}
	if _, err := r.party[1].Openings(r.opens, nil); err == nil {
		t.Error("went on without a share")
	}
	// A configuration at which the library panics is an error.
	if _, _, err := library.Start(config("panic", 4, 2, 1, 2)); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("started a party that is not among the parties: %v", err)
	}
}

// TestWhatKillsTheLibrary shows, in a process of its own, why nothing reaches the library unverified: what these cases
// give to it ends the process, in a goroutine that nobody can recover. Should a new version not die of them, the fence
// still stands, and this test says that its reason is gone.
func TestWhatKillsTheLibrary(t *testing.T) {
	if name := os.Getenv("COUNTERSIGN_TEST_KILL"); name != "" {
		kill(t, name)
		return
	}
	for name := range killers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestWhatKillsTheLibrary$")
			cmd.Env = append(os.Environ(), "COUNTERSIGN_TEST_KILL="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "panic: ") || !strings.Contains(string(out), "round_3.go") {
				t.Fatalf("the library survived: %v\n%s", err, out)
			}
			if strings.Contains(string(out), survived) {
				t.Fatalf("the panic was recovered:\n%s", out)
			}
		})
	}
}
