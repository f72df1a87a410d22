package frame_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

const t3 = 3

func sum(s string) [32]byte { return sha256.Sum256([]byte(s)) }

func point(n byte) *edwards25519.Point {
	return new(edwards25519.Point).ScalarBaseMult(edwards.Scalar(n))
}

// frames returns one good frame for each place, of a key with t coefficients.
func frames(t int) map[string]frame.Frame {
	open := &frame.Open{Blind: sum("blind"), ProofPoint: point(100), ProofScalar: edwards.Scalar(101), ChainCode: sum("part")}
	for i := range t {
		open.Coefficients = append(open.Coefficients, point(byte(i+1)))
	}
	return map[string]frame.Frame{
		"commit": {Round: 1, Broadcast: true, Session: sum("session"), Commit: &frame.Commit{Polynomial: sum("polynomial"), ChainCode: sum("chain")}},
		"open":   {Round: 2, Broadcast: true, Session: sum("session"), Echo: sum("echo"), Open: open},
		"share":  {Round: 2, Session: sum("session"), Echo: sum("echo"), Share: &frame.Share{Value: edwards.Scalar(102)}},
	}
}

func TestRoundTrip(t *testing.T) {
	for threshold := 2; threshold <= 9; threshold++ {
		for name, f := range frames(threshold) {
			data := frame.Encode(f)
			got, err := frame.Decode(data, threshold)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !bytes.Equal(frame.Encode(got), data) {
				t.Fatalf("%s: another encoding after a round trip", name)
			}
			if got.Round != f.Round || got.Broadcast != f.Broadcast || got.Session != f.Session || got.Echo != f.Echo ||
				(got.Commit == nil) != (f.Commit == nil) || (got.Open == nil) != (f.Open == nil) || (got.Share == nil) != (f.Share == nil) {
				t.Fatalf("%s: %+v", name, got)
			}
			clear(data)
			if got.Session != f.Session || (got.Commit != nil && got.Commit.Polynomial != f.Commit.Polynomial) {
				t.Fatalf("%s: the frame changed with its input", name)
			}
			if name != "open" {
				continue
			}
			if len(got.Open.Coefficients) != threshold || got.Open.Coefficients[1].Equal(point(2)) != 1 ||
				got.Open.ProofPoint.Equal(point(100)) != 1 || got.Open.ChainCode != f.Open.ChainCode || got.Open.Blind != f.Open.Blind {
				t.Fatal("the values of the opening are at other places")
			}
		}
	}
}

// TestLengthsAreExact tries every length but the right one, and every other number of coefficients.
func TestLengthsAreExact(t *testing.T) {
	for name, f := range frames(t3) {
		data := frame.Encode(f)
		for n := range len(data) {
			if _, err := frame.Decode(data[:n], t3); !errors.Is(err, frame.ErrMalformed) {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
		}
		for _, more := range []int{1, 31, 32, 33, 64, 1 << 20} {
			if _, err := frame.Decode(append(bytes.Clone(data), make([]byte, more)...), t3); !errors.Is(err, frame.ErrMalformed) {
				t.Fatalf("%s with %d bytes more: %v", name, more, err)
			}
		}
	}
	for n := range 10 {
		_, err := frame.Decode(frame.Encode(frames(n)["open"]), t3)
		if (err == nil) != (n == t3) {
			t.Errorf("%d coefficients where 3 sign: %v", n, err)
		}
	}
}

func TestHeadIsChecked(t *testing.T) {
	cases := map[string]struct {
		at   int
		to   byte
		want string
	}{
		"magic":            {0, 'X', "does not start"},
		"version":          {4, 2, "version 2"},
		"round 0":          {6, 0, "no such message in round 0"},
		"round 3":          {6, 3, "no such message in round 3"},
		"round 257":        {5, 1, "no such message in round 25"},
		"an unknown flag":  {7, 2, "unknown flags"},
		"all flags":        {7, 0xff, "unknown flags"},
		"a flag on top":    {7, 3, "unknown flags"},
		"version is zero":  {4, 0, "version 0"},
		"version with top": {4, 0x81, "version 129"},
	}
	for name, c := range cases {
		for place, f := range frames(t3) {
			data := frame.Encode(f)
			data[c.at] = c.to
			if _, err := frame.Decode(data, t3); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s of %s: %v", name, place, err)
			}
		}
	}
	// The other form of a message that has one form only, and one message in another's place.
	for place, f := range frames(t3) {
		for _, round := range []byte{1, 2} {
			for _, flags := range []byte{0, 1} {
				if uint16(round) == f.Round && (flags == 1) == f.Broadcast {
					continue
				}
				if place == "share" && round == 1 && flags == 1 {
					continue // as long as a commitment, which any bytes may be
				}
				data := frame.Encode(f)
				data[6], data[7] = round, flags
				if _, err := frame.Decode(data, t3); err == nil {
					t.Errorf("%s as round %d flags %d: accepted", place, round, flags)
				}
			}
		}
	}
}

// TestValuesAreChecked puts each value that is none into each field for a point or scalar.
func TestValuesAreChecked(t *testing.T) {
	order := []byte{
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
	}
	overOrder := bytes.Clone(order)
	overOrder[0]++
	orderTwo := bytes.Repeat([]byte{0xff}, 32)
	orderTwo[0], orderTwo[31] = 0xec, 0x7f
	torsion, err := new(edwards25519.Point).SetBytes(orderTwo)
	if err != nil {
		t.Fatal(err)
	}
	noPoints := map[string][]byte{
		"zero": make([]byte, 32), "identity": edwards25519.NewIdentityPoint().Bytes(), "order two": orderTwo,
		"with torsion": new(edwards25519.Point).Add(point(7), torsion).Bytes(), "off the curve": append([]byte{2}, make([]byte, 31)...),
		"all ones": bytes.Repeat([]byte{0xff}, 32), "y over p": append([]byte{0xee}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...),
	}
	noScalars := map[string][]byte{
		"zero": make([]byte, 32), "the order": order, "over the order": overOrder, "all ones": bytes.Repeat([]byte{0xff}, 32),
		"top bit": append(make([]byte, 31), 0x80),
	}
	const head, echo = 40, 32
	points := map[string]int{"coefficient 0": head + echo + 32, "coefficient 2": head + echo + 96, "point of the proof": head + echo + 128}
	for where, at := range points {
		for what, value := range noPoints {
			data := frame.Encode(frames(t3)["open"])
			copy(data[at:], value)
			if _, err := frame.Decode(data, t3); !errors.Is(err, frame.ErrMalformed) || !strings.Contains(err.Error(), where) {
				t.Errorf("%s is %s: %v", where, what, err)
			}
		}
	}
	for what, value := range noScalars {
		for where, at := range map[string]int{"open": head + echo + 160, "share": head + echo} {
			data := frame.Encode(frames(t3)[where])
			copy(data[at:], value)
			if _, err := frame.Decode(data, t3); !errors.Is(err, frame.ErrMalformed) || !strings.Contains(err.Error(), "scalar") {
				t.Errorf("scalar of %s is %s: %v", where, what, err)
			} else if what != "zero" && strings.Contains(err.Error(), fmt.Sprintf("%x", value)) {
				t.Errorf("the error shows the value: %v", err)
			}
		}
	}
	for where, at := range map[string]int{"commit": head, "open": head + echo} {
		data := frame.Encode(frames(t3)[where])
		clear(data[at : at+32])
		if _, err := frame.Decode(data, t3); !errors.Is(err, frame.ErrMalformed) || !strings.Contains(err.Error(), "zero") {
			t.Errorf("zero in %s: %v", where, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, one := range frames(t3) {
		f.Add(frame.Encode(one))
	}
	f.Add([]byte("CSEK"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := frame.Decode(data, t3)
		if err != nil {
			if !errors.Is(err, frame.ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(frame.Encode(got), data) {
			t.Fatal("another encoding after a round trip")
		}
	})
}
