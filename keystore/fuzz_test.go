package keystore_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
)

var testMaster = secret.New(bytes.Repeat([]byte{7}, 32))

func FuzzSealRecord(f *testing.F) {
	header, record, err := keystore.NewSeal(cheap, pass(goodPassword), testMaster)
	must(f, err)
	f.Add(record)
	f.Add(record[:60])
	f.Add(bytes.Repeat([]byte{1}, 4+124))
	greedy := bytes.Clone(record)
	binary.BigEndian.PutUint32(greedy[8:], 1<<30) // asks for 1 TiB
	f.Add(greedy)
	segments := bytes.Clone(record)
	segments[1] = 2
	f.Add(segments)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fix := range []bool{false, true} {
			again, parsed, cost, err := keystore.ReencodeSeal(header, b, fix)
			if err != nil {
				mustBe(t, err, keystore.ErrCorrupt)
				continue
			}
			if !bytes.Equal(again, parsed) {
				t.Errorf("encoded again %x is not %x", again, parsed)
			}
			if cost.Time > 16 || cost.MemoryKiB > 1<<20 || cost.Threads > 16 {
				t.Errorf("a record may ask for %+v", cost)
			}
		}
	})
}

func TestSealRecord(t *testing.T) {
	header, record, err := keystore.NewSeal(cheap, pass(goodPassword), testMaster)
	must(t, err)
	if n, err := keystore.OpenSeal(header, record, pass(goodPassword)); err != nil || n != 32 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := keystore.OpenSeal(header, record, pass(goodPassword+" ")); !errors.Is(err, keystore.ErrWrongPassword) {
		t.Errorf("another password: %v", err)
	}
	// Somebody who mends the checksum cannot make the record open: not with another cost, nor another wrapped key.
	for _, c := range []struct {
		at   int
		want error
		says string
	}{
		{7, keystore.ErrWrongPassword, ""},   // passes
		{20, keystore.ErrWrongPassword, ""},  // salt
		{50, keystore.ErrWrongPassword, ""},  // check
		{80, keystore.ErrCorrupt, "wrapped"}, // nonce
		{100, keystore.ErrCorrupt, "wrapped"},
		{0, keystore.ErrCorrupt, "version"},
		{1, keystore.ErrCorrupt, "kind"},
		{3, keystore.ErrCorrupt, "length"},
		{9, keystore.ErrCorrupt, "KiB"},
	} {
		b := bytes.Clone(record)
		b[c.at] ^= 0x40
		if c.at == 7 {
			b[c.at] = 2
		}
		_, b, _, err := keystore.ReencodeSeal(header, b, true)
		if err == nil {
			_, err = keystore.OpenSeal(header, b, pass(goodPassword))
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("byte %d: %v", c.at, err)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	// Sealed by the first version: what it wrote must open for ever.
	sealed, err := hex.DecodeString("01117911478f19e6f0e67b1f5a0c095b33207cc546cd9dccdcd4c81ceead3b8f" +
		"79939f7d6e9307915b20b16d3f1df5743cc6")
	must(f, err)
	if value, err := keystore.OpenRecord(testMaster, "shares", "k1", sealed); err != nil || string(value) != "value" {
		f.Fatal("the known envelope does not open: ", err)
	}
	f.Add("shares", "k1", []byte("value"), sealed)
	f.Add("shares", "k2", []byte{}, sealed[:44])
	f.Add("", "", []byte{0}, []byte{1})
	f.Fuzz(func(t *testing.T, bucket, key string, value, envelope []byte) {
		if got, err := keystore.OpenRecord(testMaster, bucket, key, envelope); err == nil {
			if !bytes.Equal(envelope, sealed) || string(got) != "value" || bucket != "shares" || key != "k1" {
				t.Fatalf("an envelope that nobody sealed opens")
			}
		} else {
			mustBe(t, err, keystore.ErrCorrupt)
		}
		made, err := keystore.SealRecord(testMaster, bucket, key, value)
		must(t, err)
		if got, err := keystore.OpenRecord(testMaster, bucket, key, made); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("what was sealed does not open: %v", err)
		}
		if _, err := keystore.OpenRecord(testMaster, bucket+"x", key, made); err == nil {
			t.Fatal("it opens in another bucket")
		}
		if len(key) > 0 { // the border between bucket and key counts
			if _, err := keystore.OpenRecord(testMaster, bucket+key[:1], key[1:], made); err == nil {
				t.Fatal("it opens where bucket and key run together")
			}
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add([]byte("shares\x00k1"))
	f.Add([]byte("shares"))
	f.Add([]byte("\x00"))
	f.Add([]byte("s\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := keystore.ReencodeName(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("%q became %q", b, again)
		}
	})
}

func FuzzHeaderAndRoot(f *testing.F) {
	f.Add([]byte("countersign/asset.db/v1\n0123456789abcdef01234567"))
	f.Add([]byte("countersign/asset.db/v2\n0123456789abcdef01234567"))
	f.Add(bytes.Repeat([]byte{0xfe}, 80))
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := keystore.ReencodeHeader(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("header %x became %x", b, again)
		}
		if again, err := keystore.ReencodeRoot(b); err == nil && !bytes.Equal(again, b) {
			t.Errorf("root %x became %x", b, again)
		}
	})
}

func TestSetHash(t *testing.T) {
	one, two, top := [32]byte{31: 1}, [32]byte{15: 1}, [32]byte(bytes.Repeat([]byte{0xff}, 32))
	zero := hex.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		add, remove [][32]byte
		want        string
	}{
		{nil, nil, "0 " + zero},
		{[][32]byte{one, top}, nil, "2 " + zero}, // carries through all words, and wraps
		{[][32]byte{two}, [][32]byte{one}, "0 " + strings.Repeat("00", 16) + strings.Repeat("ff", 16)},
		{[][32]byte{one, two, top}, [][32]byte{top, one, two}, "0 " + zero},
		{[][32]byte{two, one}, nil, "2 " + strings.Repeat("00", 15) + "01" + strings.Repeat("00", 15) + "01"},
	} {
		if got := keystore.SetHash(c.add, c.remove); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// FuzzPages alters bytes of a good file and mends the checksums of its meta pages. What the check lets pass must then
// be read by bbolt without a panic, and must be refused or have its old content.
func FuzzPages(f *testing.F) {
	path := newPath(f)
	want := sample(f, path)
	whole := mustRead(f, path)
	size := os.Getpagesize()
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{0, 0, 8, 9}, uint16(3))
	f.Add([]byte{0, 0, 16, 0, 0, 10, 200, 1}, uint16(2))
	f.Fuzz(func(t *testing.T, changes []byte, page uint16) {
		b := bytes.Clone(whole)
		start := int(page) % (len(b) / size) * size
		for ; len(changes) >= 3; changes = changes[3:] { // offset in the page (2), value (1)
			b[start+int(binary.BigEndian.Uint16(changes))%size] = changes[2]
		}
		for _, meta := range [][]byte{b[16:80], b[size+16 : size+80]} {
			sum := fnv.New64a()
			sum.Write(meta[:56])
			binary.NativeEndian.PutUint64(meta[56:], sum.Sum64())
		}
		if err := keystore.CheckPages(b); err != nil {
			mustBe(t, err, keystore.ErrCorrupt)
			return
		}
		path := newPath(t)
		mustWrite(t, path, b)
		mustSurvive(t, path, want, "altered")
	})
}

// FuzzFile reads arbitrary bytes as a file.
func FuzzFile(f *testing.F) {
	path := newPath(f)
	must(f, mustInit(f, path).Close())
	whole := mustRead(f, path)
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := keystore.CheckPages(b); err != nil {
			mustBe(t, err, keystore.ErrCorrupt)
		}
	})
}
