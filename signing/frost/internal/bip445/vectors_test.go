package bip445_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/countersign-mpc/countersign/signing/frost/internal/bip445"
	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	frost "github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

var curve group.Secp256k1

// hexBytes is a JSON string of hex digits; nil if it is null.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil || text == nil {
		return err
	}
	var err error
	*h, err = hex.DecodeString(*text)
	if *h == nil {
		*h = []byte{}
	}
	return err
}

// group of vectors, of any of the files.
type vectorGroup struct {
	ID           string     `json:"tg_id"`
	T            int        `json:"t"`
	N            int        `json:"n"`
	PublicKey    hexBytes   `json:"thresh_pk"`
	PublicShares []hexBytes `json:"pubshares"`
	PublicNonces []hexBytes `json:"pubnonces"`
	SecretShares []hexBytes `json:"secshares"`
	SecretNonces []hexBytes `json:"secnonces"`
	Tweaks       []hexBytes `json:"tweaks"`
	Valid        []vector   `json:"valid_tests"`
	Errors       []vector   `json:"error_tests"`
	SignErrors   []vector   `json:"sign_error_tests"`
	VerifyFails  []vector   `json:"verify_fail_tests"`
	VerifyErrors []vector   `json:"verify_error_tests"`
}

type vector struct {
	ID           int             `json:"tc_id"`
	Comment      string          `json:"comment"`
	MyID         uint32          `json:"my_id"`
	IDs          []uint32        `json:"ids"`
	PublicShares []int           `json:"pubshare_indices"`
	PublicNonces []int           `json:"pubnonce_indices"`
	SecretShare  int             `json:"secshare_index"`
	SecretNonce  int             `json:"secnonce_index"`
	Aggregate    hexBytes        `json:"aggnonce"`
	Tweaks       []int           `json:"tweak_indices"`
	XOnly        []bool          `json:"is_xonly"`
	Message      hexBytes        `json:"msg"`
	Shares       []hexBytes      `json:"psigs"`
	Share        hexBytes        `json:"psig"`
	Signer       int             `json:"signer_index"`
	Expected     json.RawMessage `json:"expected"`
	Error        struct {
		Type         string `json:"type"`
		Signer       *int   `json:"signer_index"`
		Contribution string `json:"contrib"`
	} `json:"error"`
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "testdata", "frost", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// each runs a test for every vector of some groups and demands a number of them.
func each(t *testing.T, file string, pick func(vectorGroup) []vector, want int, run func(t *testing.T, g vectorGroup, v vector)) {
	t.Helper()
	var data struct {
		Groups []vectorGroup `json:"test_groups"`
	}
	load(t, file, &data)
	ran := 0
	for _, g := range data.Groups {
		for _, v := range pick(g) {
			ran++
			t.Run(g.ID+" "+strconv.Itoa(v.ID), func(t *testing.T) {
				t.Log(v.Comment)
				run(t, g, v)
			})
		}
	}
	if ran != want {
		t.Errorf("%d vectors, not %d: the file has changed or is not read whole", ran, want)
	}
}

func at(list []hexBytes, indices []int) [][]byte {
	var out [][]byte
	for _, i := range indices {
		out = append(out, list[i])
	}
	return out
}

func (v vector) expected(t *testing.T) []byte {
	t.Helper()
	var want hexBytes
	if err := json.Unmarshal(v.Expected, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

func session(g vectorGroup, v vector) bip445.Session {
	return bip445.Session{
		Signers: bip445.Signers{
			N: g.N, T: g.T, IDs: v.IDs, PublicShares: at(g.PublicShares, v.PublicShares), PublicKey: g.PublicKey,
		},
		AggregateNonce: v.Aggregate, Tweaks: at(g.Tweaks, v.Tweaks), XOnly: v.XOnly, Message: v.Message,
	}
}

// sign does what Sign of the BIP does.
func sign(g vectorGroup, v vector) ([]byte, error) {
	values, err := session(g, v).Values()
	if err != nil {
		return nil, err
	}
	hiding, err := curve.Scalar(g.SecretNonces[v.SecretNonce][:32])
	if err != nil {
		return nil, err
	}
	binding, err := curve.Scalar(g.SecretNonces[v.SecretNonce][32:])
	if err != nil {
		return nil, err
	}
	nonce, err := frost.NewNonce(hiding, binding)
	if err != nil {
		return nil, err
	}
	secret, err := curve.Scalar(g.SecretShares[v.SecretShare])
	if err != nil {
		return nil, err
	}
	share, err := values.Share(v.MyID+1, nonce, secret)
	if err != nil {
		return nil, err
	}
	if _, err := values.Share(v.MyID+1, nonce, secret); !errors.Is(err, frost.ErrNonceUsed) {
		return nil, errors.New("a nonce signs twice")
	}
	return share.Bytes(), nil
}

// verify does what PartialSigVerify of the BIP does.
func verify(g vectorGroup, v vector, share []byte) error {
	nonces := at(g.PublicNonces, v.PublicNonces)
	var err error
	if v.Aggregate, err = bip445.NonceAgg(nonces); err != nil {
		return err
	}
	values, err := session(g, v).Values()
	if err != nil {
		return err
	}
	commitment, err := bip445.ParsePublicNonce(nonces[v.Signer])
	if err != nil {
		return err
	}
	s, err := curve.Scalar(share)
	if err != nil {
		return failure{err}
	}
	if err := values.Verify(v.IDs[v.Signer]+1, commitment, s); err != nil {
		return failure{err}
	}
	return nil
}

// failure is a share that is wrong, where other errors are about what it was to be verified with.
type failure struct{ error }

// mustFault demands the error that a vector describes.
func mustFault(t *testing.T, v vector, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var fault *bip445.Fault
	if named := errors.As(err, &fault); named != (v.Error.Type == "InvalidContributionError") {
		t.Fatalf("error %v, want a %s", err, v.Error.Type)
	} else if !named {
		return
	}
	want := -1
	if v.Error.Signer != nil {
		want = *v.Error.Signer
	}
	names := map[string]string{"aggnonce": "aggregate nonce", "pubnonce": "public nonce"}
	if fault.Signer != want || fault.Contribution != names[v.Error.Contribution] {
		t.Fatalf("error %v, want signer %d and %s", err, want, v.Error.Contribution)
	}
}

func TestNonceGenVectors(t *testing.T) {
	var file struct {
		Valid []struct {
			ID       int        `json:"tc_id"`
			Random   hexBytes   `json:"rand_"`
			Secret   hexBytes   `json:"secshare"`
			Public   hexBytes   `json:"pubshare"`
			Key      hexBytes   `json:"thresh_pk"`
			Message  hexBytes   `json:"msg"`
			Extra    hexBytes   `json:"extra_in"`
			Expected []hexBytes `json:"expected"`
		} `json:"valid_tests"`
	}
	load(t, "nonce_gen_vectors.json", &file)
	if len(file.Valid) != 5 {
		t.Fatalf("%d vectors", len(file.Valid))
	}
	for _, v := range file.Valid {
		random := [32]byte(v.Random)
		nonce, err := bip445.NonceGen(&random, bip445.NonceInput{
			SecretShare: v.Secret, PublicShare: v.Public, PublicKey: v.Key, Message: v.Message, Extra: v.Extra,
		})
		if err != nil {
			t.Fatal(err)
		}
		if random != [32]byte{} {
			t.Errorf("%d: the random bytes were left in memory", v.ID)
		}
		public, err := frost.Commit(curve, nonce)
		if err != nil || !bytes.Equal(public.Bytes(), v.Expected[1]) {
			t.Errorf("%d: public nonce %x, want %x (%v)", v.ID, public.Bytes(), v.Expected[1], err)
		}
		// The secret nonce is not shown: what it commits to is.
		for i, half := range []*bip445.Element{public.Hiding, public.Binding} {
			k, err := curve.Scalar(v.Expected[0][32*i : 32*i+32])
			if err != nil || !curve.Base(k).Equal(half) {
				t.Errorf("%d: half %d of the secret nonce is another", v.ID, i)
			}
		}
	}
}

func TestNonceAggVectors(t *testing.T) {
	var file vectorGroup
	load(t, "nonce_agg_vectors.json", &file)
	if len(file.Valid) != 2 || len(file.Errors) != 3 {
		t.Fatalf("%d and %d vectors", len(file.Valid), len(file.Errors))
	}
	for _, v := range file.Valid {
		got, err := bip445.NonceAgg(at(file.PublicNonces, v.PublicNonces))
		if err != nil || !bytes.Equal(got, v.expected(t)) {
			t.Errorf("%d: %x, %v", v.ID, got, err)
		}
	}
	for _, v := range file.Errors {
		_, err := bip445.NonceAgg(at(file.PublicNonces, v.PublicNonces))
		mustFault(t, v, err)
	}
}

func testSign(t *testing.T, g vectorGroup, v vector) {
	got, err := sign(g, v)
	if err != nil || !bytes.Equal(got, v.expected(t)) {
		t.Fatalf("share %x, want %x (%v)", got, v.expected(t), err)
	}
	for v.Signer = range v.IDs {
		err := verify(g, v, got)
		if own := v.IDs[v.Signer] == v.MyID; own != (err == nil) {
			t.Errorf("verified as that of identifier %d: %v", v.IDs[v.Signer], err)
		}
	}
}

func testSignError(t *testing.T, g vectorGroup, v vector) {
	share, err := sign(g, v)
	if share != nil {
		t.Fatal("a share")
	}
	mustFault(t, v, err)
}

func TestSignVectors(t *testing.T) {
	each(t, "sign_verify_vectors.json", func(g vectorGroup) []vector { return g.Valid }, 25, testSign)
	each(t, "sign_verify_vectors.json", func(g vectorGroup) []vector { return g.SignErrors }, 48, testSignError)
}

func TestVerifyVectors(t *testing.T) {
	each(t, "sign_verify_vectors.json", func(g vectorGroup) []vector { return g.VerifyFails }, 12,
		func(t *testing.T, g vectorGroup, v vector) {
			var wrong failure
			if err := verify(g, v, v.Share); !errors.As(err, &wrong) {
				t.Fatalf("a wrong share: %v", err)
			}
		})
	each(t, "sign_verify_vectors.json", func(g vectorGroup) []vector { return g.VerifyErrors }, 8,
		func(t *testing.T, g vectorGroup, v vector) {
			err := verify(g, v, v.Share)
			if errors.As(err, new(failure)) {
				t.Fatalf("blames the share: %v", err)
			}
			mustFault(t, v, err)
		})
}

func TestTweakVectors(t *testing.T) {
	each(t, "tweak_vectors.json", func(g vectorGroup) []vector { return g.Valid }, 28, testSign)
	each(t, "tweak_vectors.json", func(g vectorGroup) []vector { return g.Errors }, 16, testSignError)
}

// aggregate does what PartialSigAgg of the BIP does. A share that is no scalar is its sender's fault.
func aggregate(g vectorGroup, v vector) ([]byte, int, error) {
	values, err := session(g, v).Values()
	if err != nil {
		return nil, -1, err
	}
	var shares []*bip445.Scalar
	for i, encoded := range v.Shares {
		s, err := curve.Scalar(encoded)
		if err != nil {
			return nil, i, err
		}
		shares = append(shares, s)
	}
	signature, err := values.Sum(shares)
	return signature[:], -1, err
}

func TestSigAggVectors(t *testing.T) {
	each(t, "sig_agg_vectors.json", func(g vectorGroup) []vector { return g.Valid }, 14,
		func(t *testing.T, g vectorGroup, v vector) {
			got, _, err := aggregate(g, v)
			if err != nil || !bytes.Equal(got, v.expected(t)) {
				t.Fatalf("signature %x, %v", got, err)
			}
			key, err := bip445.Tweak(g.PublicKey, at(g.Tweaks, v.Tweaks), v.XOnly)
			if err != nil {
				t.Fatal(err)
			}
			public, err := schnorr.ParsePubKey(key.Q.XBytes())
			if err != nil {
				t.Fatal(err)
			}
			signature, err := schnorr.ParseSignature(got)
			if err != nil || !signature.Verify(v.Message, public) {
				t.Fatalf("btcec does not verify the signature: %v", err)
			}
		})
	each(t, "sig_agg_vectors.json", func(g vectorGroup) []vector { return g.Errors }, 8,
		func(t *testing.T, g vectorGroup, v vector) {
			_, culprit, err := aggregate(g, v)
			want := -1
			if v.Error.Signer != nil {
				want = *v.Error.Signer
			}
			if err == nil || culprit != want {
				t.Fatalf("culprit %d, want %d: %v", culprit, want, err)
			}
		})
}
