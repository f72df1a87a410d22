package ecies_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/countersign-mpc/countersign/ecies"
)

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// vendorKey is the key to which the vendor's side encrypted the signature of vector cb-0009.
func vendorKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile(filepath.Join("..", "testdata", "callback", "decrypt_sig_private.pem")))
	block, _ := pem.Decode(data)
	return must[*ecdsa.PrivateKey](t)(x509.ParseECPrivateKey(block.Bytes))
}

func vendorMessage(t testing.TB) []byte {
	t.Helper()
	data := must[[]byte](t)(os.ReadFile(filepath.Join("..", "testdata", "callback", "vectors.json")))
	var vectors []struct{ Name, Body string }
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if v.Name != "rawdata-signature-ecies" {
			continue
		}
		var body struct {
			Detail struct{ Signature string } `json:"request_detail"`
		}
		if err := json.Unmarshal([]byte(v.Body), &body); err != nil {
			t.Fatal(err)
		}
		return must[[]byte](t)(hex.DecodeString(body.Detail.Signature))
	}
	t.Fatal("no vector")
	return nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return must[[]byte](t)(hex.DecodeString(s))
}

// The vector's signature is that of a test: 65 bytes r ‖ s ‖ v, all 0x8c.
func TestDecryptVendorVector(t *testing.T) {
	got := must[[]byte](t)(ecies.Decrypt(vendorKey(t), vendorMessage(t)))
	if want := bytes.Repeat([]byte{0x8c}, 65); !bytes.Equal(got, want) {
		t.Errorf("got %x", got)
	}
}

// Messages that go-ethereum's crypto/ecies (ECIES_AES128_SHA256, over P-256) was seen to decrypt. In the second one Z
// begins with a zero byte, which must not be lost. The first 32 random bytes are the ephemeral key, the next 16 the IV.
var knownMessages = []struct{ random, message string }{
	{
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30",
		"04515c3d6eb9e396b904d3feca7f54fdcd0cc1e997bf375dca515ad0a6c3b4035f4536be3a50f318fbf9a5475902a221502bef0d57e08c53b2cc0a56" +
			"f17d9f93542122232425262728292a2b2c2d2e2f3043c7f3281a975e4f40da02140775b25788b5ebeb512f05e89c5badf1cafa9235ec55b9259c" +
			"7123cb4924",
	},
	{
		"0000000000000000000000000000000000000000000000000000000000002b9e00000000000000000000000000000000",
		"04991c22be5cdc8a469b564a37b3ed19a62ad88a7df22f5b99b4be7ee4059cef6e29bc17d428e9a812d5243148fc2e87ef46f00d61dc5c25f327c856" +
			"906816203100000000000000000000000000000000c422344d83dfb769aa3b613741e4d46b160efe3da7ce63cfcbcdc3bc17b2bb63730733ed79" +
			"a98cf9609a",
	},
}

func TestKnownMessages(t *testing.T) {
	key, plaintext := vendorKey(t), []byte("r, s and v")
	for _, known := range knownMessages {
		message := unhex(t, known.message)
		got := must[[]byte](t)(ecies.Encrypt(bytes.NewReader(unhex(t, known.random)), &key.PublicKey, plaintext))
		if !bytes.Equal(got, message) {
			t.Errorf("encrypted: %x", got)
		}
		if back := must[[]byte](t)(ecies.Decrypt(key, message)); !bytes.Equal(back, plaintext) {
			t.Errorf("decrypted: %x", back)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, size := range []int{1, 15, 16, 17, 64, 65, 1000} {
		plaintext := bytes.Repeat([]byte{7}, size)
		a := must[[]byte](t)(ecies.Encrypt(nil, &key.PublicKey, plaintext))
		b := must[[]byte](t)(ecies.Encrypt(rand.Reader, &key.PublicKey, plaintext))
		if len(a) != size+ecies.Overhead || bytes.Equal(a, b) || bytes.Equal(a[:65], b[:65]) || bytes.Equal(a[65:81], b[65:81]) {
			t.Errorf("%d bytes: messages of %d and %d bytes, or not fresh", size, len(a), len(b))
		}
		for _, message := range [][]byte{a, b} {
			if got := must[[]byte](t)(ecies.Decrypt(key, message)); !bytes.Equal(got, plaintext) {
				t.Errorf("%d bytes: %x", size, got)
			}
		}
	}
}

// Whatever is wrong, the error is the same.
func TestDecryptHasOneError(t *testing.T) {
	key := vendorKey(t)
	good := vendorMessage(t)
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	refuse := func(what string, key *ecdsa.PrivateKey, message []byte) {
		t.Helper()
		plaintext, err := ecies.Decrypt(key, message)
		if plaintext != nil || err == nil || err.Error() != ecies.ErrDecrypt.Error() || !errors.Is(err, ecies.ErrDecrypt) {
			t.Errorf("%s: %x, %v", what, plaintext, err)
		}
	}
	for i := range good {
		changed := bytes.Clone(good)
		changed[i] ^= 0x40
		refuse("a changed byte", key, changed)
	}
	for n := range len(good) {
		refuse("cut", key, good[:n])
	}
	refuse("longer", key, append(bytes.Clone(good), 0))
	refuse("another key", other, good)
	refuse("another curve", p384, good)
	refuse("no key", nil, good)
	refuse("an empty key", &ecdsa.PrivateKey{}, good)
	refuse("nothing but zeros", key, make([]byte, len(good)))
	infinity := append([]byte{0}, good[1:]...)
	refuse("the point at infinity", key, infinity)
	compressed := append([]byte{2 + good[64]&1}, good[1:33]...)
	refuse("a compressed point", key, append(compressed, good[65:]...))
	hybrid := append([]byte{6 + good[64]&1}, good[1:]...)
	refuse("a hybrid point", key, hybrid)
}

// An empty plaintext is refused on both sides, as the vendor's library does: no signature is empty.
func TestEmptyPlaintext(t *testing.T) {
	key := vendorKey(t)
	if _, err := ecies.Encrypt(nil, &key.PublicKey, nil); err == nil {
		t.Error("encrypted nothing")
	}
	// A message without ciphertext, whose tag is right.
	ephemeral := must[*ecdh.PrivateKey](t)(ecdh.P256().GenerateKey(rand.Reader))
	z := must[[]byte](t)(ephemeral.ECDH(must[*ecdh.PublicKey](t)(key.PublicKey.ECDH())))
	k := sha256.Sum256(append([]byte{0, 0, 0, 1}, z...))
	macKey := sha256.Sum256(k[16:])
	sealed := make([]byte, 16)
	seal := func() []byte {
		mac := hmac.New(sha256.New, macKey[:])
		mac.Write(sealed)
		return mac.Sum(append(ephemeral.PublicKey().Bytes(), sealed...))
	}
	if plaintext, err := ecies.Decrypt(key, seal()); err != ecies.ErrDecrypt || plaintext != nil {
		t.Errorf("decrypted nothing: %v", err)
	}
	sealed = append(sealed, 1)
	if plaintext, err := ecies.Decrypt(key, seal()); err != nil || len(plaintext) != 1 {
		t.Errorf("a byte of ciphertext: %x, %v", plaintext, err)
	}
}

func TestEncryptRefuses(t *testing.T) {
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for _, pub := range []*ecdsa.PublicKey{nil, {}, &p384.PublicKey} {
		if m, err := ecies.Encrypt(nil, pub, []byte{1}); err == nil || m != nil {
			t.Error("encrypted to a key that is not P-256")
		}
	}
	pub := &vendorKey(t).PublicKey
	broken := errors.New("broken")
	if _, err := ecies.Encrypt(iotest.ErrReader(broken), pub, []byte{1}); !errors.Is(err, broken) {
		t.Errorf("without random bytes: %v", err)
	}
	if _, err := ecies.Encrypt(bytes.NewReader(unhex(t, knownMessages[0].random)[:40]), pub, []byte{1}); err == nil {
		t.Error("encrypted without enough random bytes for the IV")
	}
	if _, err := ecies.Encrypt(zeros{}, pub, []byte{1}); err == nil {
		t.Error("encrypted with a source that gives only zeros")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A draw outside the range of the scalars is drawn again.
func TestEncryptDrawsAgain(t *testing.T) {
	random := append(bytes.Repeat([]byte{0xff}, 32), make([]byte, 32)...)
	random = append(random, unhex(t, knownMessages[0].random)...)
	got := must[[]byte](t)(ecies.Encrypt(bytes.NewReader(random), &vendorKey(t).PublicKey, []byte("r, s and v")))
	if hex.EncodeToString(got) != knownMessages[0].message {
		t.Errorf("%x", got)
	}
}

func FuzzDecrypt(f *testing.F) {
	key, good := vendorKey(f), vendorMessage(f)
	f.Add(good)
	f.Add(good[:ecies.Overhead])
	for _, known := range knownMessages {
		f.Add(unhex(f, known.message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		plaintext, err := ecies.Decrypt(key, message)
		if err != nil && (err != ecies.ErrDecrypt || plaintext != nil) {
			t.Fatalf("%x, %v", plaintext, err)
		}
		if err == nil && len(plaintext) != len(message)-ecies.Overhead {
			t.Fatalf("%d bytes of %d", len(plaintext), len(message))
		}
	})
}
