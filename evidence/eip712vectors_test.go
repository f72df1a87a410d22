package evidence_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/crypto"
)

type typedVector struct {
	Name, Message, Digest, Signer, Signature string
	TypeHash                                 string `json:"type_hash"`
	DomainSeparator                          string `json:"domain_separator"`
	StructHash                               string `json:"struct_hash"`
	Words                                    []string
}

// want is the digest that the vector's source gives, or that follows from what it gives.
func (v typedVector) want() string {
	if v.Digest != "" {
		return v.Digest
	}
	encoded := unhex(v.TypeHash)
	for _, word := range v.Words {
		encoded = append(encoded, unhex(word)...)
	}
	return hex.EncodeToString(crypto.Keccak256([]byte{0x19, 0x01}, unhex(v.DomainSeparator), crypto.Keccak256(encoded)))
}

func TestMessageVectors(t *testing.T) {
	var file struct {
		TypedData []typedVector `json:"typed_data"`
		Personal  []struct{ Message, Digest string }
	}
	readJSON(t, "../testdata/eip712/vectors.json", &file)
	if len(file.TypedData) != 4 || len(file.Personal) != 4 {
		t.Fatal("vectors are missing")
	}
	for _, v := range file.TypedData {
		f := evidence.CheckMessage(v.Message)
		if f.Status != evidence.Verified || f.Decoded.Digest != v.want() {
			t.Errorf("%s: %+v, want digest %s", v.Name, f, v.want())
			continue
		}
		if got := crypto.Keccak256([]byte(f.Decoded.TypedData.EncodedType)); hex.EncodeToString(got) != v.TypeHash {
			t.Errorf("%s: type hash %x of %s", v.Name, got, f.Decoded.TypedData.EncodedType)
		}
		if v.StructHash != "" {
			whole := crypto.Keccak256([]byte{0x19, 0x01}, unhex(v.DomainSeparator), unhex(v.StructHash))
			if hex.EncodeToString(whole) != f.Decoded.Digest {
				t.Errorf("%s: the published parts give %x", v.Name, whole)
			}
		}
		if v.Signature != "" {
			key, err := crypto.SigToPub(unhex(f.Decoded.Digest), unhex(v.Signature))
			if err != nil || crypto.PubkeyToAddress(*key).Hex() != v.Signer {
				t.Errorf("%s: the published signature is not %s's: %v", v.Name, v.Signer, err)
			}
		}
	}
	for _, v := range file.Personal {
		if f := evidence.CheckMessage(v.Message); f.Status != evidence.Verified || f.Decoded.Kind != evidence.KindEIP191 || f.Decoded.Digest != v.Digest {
			t.Errorf("%q: %+v, want %s", v.Message, f.Decoded, v.Digest)
		}
	}
}

// TestPermitFields: what rules about permits read is there and exact.
func TestPermitFields(t *testing.T) {
	data := evidence.CheckMessage(permit).Decoded.TypedData
	want := map[string]any{
		"owner": "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", "spender": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
		"value": "115792089237316195423570985008687907853269984665640564039457584007913129639935", "nonce": "0", "deadline": "1900000000",
	}
	if len(data.Message) != len(want) {
		t.Errorf("message %v", data.Message)
	}
	for name, v := range want {
		if data.Message[name] != v {
			t.Errorf("%s is %v, want %v", name, data.Message[name], v)
		}
	}
	if data.PrimaryType != "Permit" || *data.Domain.Name != "USD Coin" || *data.Domain.Version != "2" || *data.Domain.ChainID != "1" ||
		!bytes.EqualFold([]byte(*data.Domain.VerifyingContract), []byte("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")) {
		t.Errorf("domain %+v", data.Domain)
	}
}
