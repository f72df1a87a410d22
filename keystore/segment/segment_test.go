package segment_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore/segment"
)

func text(s string) secret.Bytes { return secret.New([]byte(s)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustGenerate makes a set and gives its texts.
func mustGenerate(t testing.TB, threshold, n int) (*segment.Manifest, []string) {
	t.Helper()
	m, secrets, err := segment.Generate(threshold, n)
	must(t, err)
	var texts []string
	for _, s := range secrets {
		texts = append(texts, string(s.Expose()))
	}
	return m, texts
}

// TestField compares the field with FIPS 197's example and with its own laws, all elements.
func TestField(t *testing.T) {
	if got := segment.Mul(0x57, 0x83); got != 0xc1 {
		t.Fatalf("{57} times {83} is {%x}, FIPS 197 section 4.2 says {c1}", got)
	}
	for a := range 256 {
		if a != 0 && segment.Mul(byte(a), segment.Inverse(byte(a))) != 1 {
			t.Errorf("{%x} times its inverse is not 1", a)
		}
		for b := range 256 {
			x, y, z := byte(a), byte(b), byte(a*7+b*13)
			if segment.Mul(x, y) != segment.Mul(y, x) || segment.Mul(x, y^z) != segment.Mul(x, y)^segment.Mul(x, z) ||
				segment.Mul(x, 1) != x || segment.Mul(x, segment.Mul(y, z)) != segment.Mul(segment.Mul(x, y), z) {
				t.Fatalf("{%x} and {%x} break a law", a, b)
			}
		}
	}
	if segment.Inverse(0) != 0 {
		t.Error("the inverse of 0")
	}
}

// TestInterpolation: a polynomial's value is found from any of its points.
func TestInterpolation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		coefficients := rapid.SliceOfN(rapid.Byte(), 1, 6).Draw(t, "coefficients")
		xs := rapid.SliceOfNDistinct(rapid.ByteRange(1, 255), len(coefficients), len(coefficients), rapid.ID[byte]).Draw(t, "xs")
		value := func(x byte) byte {
			out := byte(0)
			for i := len(coefficients) - 1; i >= 0; i-- {
				out = segment.Mul(out, x) ^ coefficients[i]
			}
			return out
		}
		var ys [][]byte
		for _, x := range xs {
			ys = append(ys, []byte{value(x)})
		}
		x := rapid.Byte().Draw(t, "x")
		if got := segment.At(x, xs, ys)[0]; got != value(x) {
			t.Fatalf("%d instead of %d", got, value(x))
		}
	})
}

// TestAnyTOpen: every t of the n give the same secret, in any order, and fewer give none.
func TestAnyTOpen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 7).Draw(rt, "n")
		threshold := rapid.IntRange(2, n).Draw(rt, "t")
		m, texts := mustGenerate(t, threshold, n)
		var want []byte
		for range 4 {
			c := segment.Collect(m)
			for i, s := range rapid.Permutation(texts).Draw(rt, "order")[:threshold] {
				if _, err := c.Secret(); err == nil {
					rt.Fatalf("%d of %d segments gave a secret", i, threshold)
				}
				if err := c.Add(text(s)); err != nil {
					rt.Fatal(err)
				}
			}
			got, err := c.Secret()
			if err != nil || got.Len() != 32 {
				rt.Fatal(err)
			}
			if want == nil {
				want = got.Expose()
			}
			if !bytes.Equal(got.Expose(), want) {
				rt.Fatal("two choices of segments give two secrets")
			}
			for _, s := range texts {
				if err := c.Add(text(s)); err == nil {
					rt.Fatal("more segments than are needed were taken")
				}
			}
		}
	})
}

func TestSecretsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		m, texts := mustGenerate(t, 2, 2)
		c := segment.Collect(m)
		must(t, c.Add(text(texts[0])))
		must(t, c.Add(text(texts[1])))
		s, err := c.Secret()
		must(t, err)
		seen[string(s.Expose())] = true
	}
	if len(seen) != 50 {
		t.Fatalf("50 sets have %d secrets", len(seen))
	}
}

// TestRefusals: each wrong segment is refused by itself, named by its number, and leaves the others in place.
func TestRefusals(t *testing.T) {
	m, texts := mustGenerate(t, 3, 4)
	_, others := mustGenerate(t, 3, 4)
	c := segment.Collect(m)
	must(t, c.Add(text(" "+strings.ToLower(texts[1])+"\r\n"))) // case and space do not matter
	end := len(texts[2]) - 1
	renumbered := strings.Replace(texts[2], "segment-3-", "segment-4-", 1)
	for name, tc := range map[string]struct {
		text, says string
		is         error
	}{
		"another set":        {others[2], "segment 3: it belongs to another set", segment.ErrOtherSet},
		"repeated":           {texts[1], "segment 2: it has been entered already", segment.ErrRepeated},
		"a letter":           {texts[2][:20] + swap(texts[2][20]) + texts[2][21:], "segment 3: it is mistyped", segment.ErrMistyped},
		"the last letter":    {texts[2][:end] + swap(texts[2][end]), "segment 3: it is mistyped", segment.ErrMistyped},
		"cut short":          {texts[2][:end-6], "segment 3: it is mistyped", segment.ErrMistyped},
		"no letter of ours":  {texts[2][:20] + "0" + texts[2][21:], "segment 3: it is mistyped", segment.ErrMistyped},
		"another number":     {renumbered, "segment 4: it is mistyped", segment.ErrMistyped},
		"a made-up share":    {segment.TextOf(m.ID, 3, make([]byte, 32)), "segment 3: it belongs to another set", segment.ErrOtherSet},
		"number beyond n":    {segment.TextOf(m.ID, 5, make([]byte, 32)), "segment 5: it belongs to another set", segment.ErrOtherSet},
		"a password":         {"Correct-Horse-7-Battery", `begins with "segment-"`, segment.ErrForm},
		"nothing":            {"", `begins with "segment-"`, segment.ErrForm},
		"number 0":           {strings.Replace(texts[2], "-3-", "-0-", 1), "number must be 1 to 16", segment.ErrForm},
		"number 17":          {strings.Replace(texts[2], "-3-", "-17-", 1), "number must be 1 to 16", segment.ErrForm},
		"no number":          {strings.Replace(texts[2], "-3-", "-", 1), "number must be 1 to 16", segment.ErrForm},
		"a number with zero": {strings.Replace(texts[2], "-3-", "-03-", 1), "number must be 1 to 16", segment.ErrForm},
		"much too long":      {texts[2] + strings.Repeat("A", 300), "no segment", segment.ErrForm},
	} {
		err := c.Add(text(tc.text))
		if !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %q", name, err, tc.says)
		}
		if err != nil && len(tc.text) > 40 && strings.Contains(err.Error(), tc.text[15:40]) {
			t.Errorf("%s: the error tells the segment", name)
		}
	}
	must(t, c.Add(text(texts[3])))
	must(t, c.Add(text("segment-1-"+strings.ReplaceAll(texts[0][10:], "-", "")))) // nor do dashes in it
}

func swap(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// TestBrokenSet: a set of which some t would give another secret is refused with the segments that would.
func TestBrokenSet(t *testing.T) {
	m, texts := mustGenerate(t, 2, 3)
	m.Hashes[2] = segment.HashOf(m, 3, make([]byte, 32))
	c := segment.Collect(m)
	must(t, c.Add(text(texts[0])))
	must(t, c.Add(text(texts[1])))
	if _, err := c.Secret(); err == nil || !strings.Contains(err.Error(), "segment 3 does not belong to the others") {
		t.Fatalf("got %v", err)
	}
	c.Wipe()
	if len(c.Numbers()) != 0 || c.Complete() {
		t.Error("a wiped collection has segments")
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range [][2]int{{1, 1}, {1, 3}, {0, 2}, {3, 2}, {2, 17}, {-1, 3}} {
		if _, _, err := segment.Generate(c[0], c[1]); err == nil {
			t.Errorf("%d of %d was generated", c[0], c[1])
		}
	}
	_, texts := mustGenerate(t, 16, 16)
	if !strings.HasPrefix(texts[15], "segment-16-") {
		t.Error(texts[15][:12])
	}
}

func TestManifestFile(t *testing.T) {
	m, _ := mustGenerate(t, 2, 3)
	again, err := segment.ParseManifest(m.Encode())
	must(t, err)
	bytesAgain, err := segment.DecodeManifest(m.Append(nil))
	must(t, err)
	if !again.Equal(m) || !bytesAgain.Equal(m) {
		t.Fatal("a manifest does not survive being written")
	}
	good := string(m.Encode())
	for name, bad := range map[string]string{
		"nothing":        "",
		"another format": strings.Replace(good, "segments/v1", "segments/v2", 1),
		"unknown member": strings.Replace(good, `"t"`, `"u": 1, "t"`, 1),
		"t = 1":          strings.Replace(good, `"t": 2`, `"t": 1`, 1),
		"n = 4":          strings.Replace(good, `"n": 3`, `"n": 4`, 1),
		"short id":       strings.Replace(good, `"set": "`, `"set": "00`, 1),
		"too long":       good + strings.Repeat(" ", 9000),
	} {
		if _, err := segment.ParseManifest([]byte(bad)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	raw := m.Append(nil)
	for i := range raw {
		if _, err := segment.DecodeManifest(raw[:i]); err == nil {
			t.Errorf("%d bytes of a manifest were read", i)
		}
	}
}

func FuzzAdd(f *testing.F) {
	m, texts := mustGenerate(f, 2, 2)
	f.Add(texts[0])
	f.Add("segment-1-AAAAA")
	f.Add("Segment-16-" + strings.Repeat("7", 71))
	f.Fuzz(func(t *testing.T, s string) {
		c := segment.Collect(m)
		if c.Add(text(s)) == nil && !strings.EqualFold(compact(s), compact(texts[0])) && !strings.EqualFold(compact(s), compact(texts[1])) {
			t.Fatalf("%q was taken", s)
		}
	})
}

func compact(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "-", "") }

func FuzzManifest(f *testing.F) {
	m, _ := mustGenerate(f, 2, 3)
	f.Add(m.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := segment.ParseManifest(b)
		if err != nil {
			return
		}
		again, err := segment.ParseManifest(m.Encode())
		if err != nil || !again.Equal(m) {
			t.Fatalf("%v", err)
		}
	})
}
