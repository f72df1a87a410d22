package evidence_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write testdata/evm/transactions.json anew")

const vectorFile = "../testdata/evm/transactions.json"

// vector is a transaction whose digest go-ethereum's signer computed.
type vector struct {
	Name    string                `json:"name"`
	RawTx   string                `json:"raw_tx"`
	Digest  string                `json:"digest"`
	Decoded *evidence.Transaction `json:"decoded"`
}

const (
	alice = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	bob   = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
	token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
)

// transferData is transfer(alice, 1500000000).
const transferData = "a9059cbb" +
	"0000000000000000000000005aaeb6053f3e94c9b9a09f33669435e7ef1beaed" +
	"0000000000000000000000000000000000000000000000000000000059682f00"

// specs are the transactions of testdata/evm.
func specs() map[string]txSpec {
	gwei := func(n int64) *big.Int { return new(big.Int).Mul(big.NewInt(n), big.NewInt(1e9)) }
	s := txSpec{
		kind: 2, chainID: big.NewInt(1), nonce: 7, gas: 65000, price: gwei(21), tip: gwei(1), to: address(token),
		value: new(big.Int), data: unhex(transferData), accesses: types.AccessList{}, blobPrice: gwei(3),
	}
	out := map[string]txSpec{"eip1559-erc20-transfer": s}
	s.data, s.to, s.value = nil, address(alice), gwei(1e9)
	out["eip1559-native"] = s
	s.accesses = types.AccessList{{Address: *address(token), StorageKeys: []common.Hash{{1}, {2}}}}
	out["eip1559-access-list"] = s
	s.kind = 1
	out["eip2930-access-list"] = s
	s.accesses, s.kind, s.blobs = types.AccessList{}, 3, []common.Hash{{1, 2}}
	out["eip4844-blob"] = s
	s.kind, s.auths = 4, []authSpec{{big.NewInt(0), *address(bob), 3, 1, gwei(5), gwei(6)}}
	out["eip7702-set-code"] = s
	s.kind, s.protected = 0, true
	out["legacy-eip155-erc20-transfer"] = txSpec{kind: 0, protected: true, chainID: big.NewInt(56), nonce: 1, gas: 50000,
		price: gwei(21), to: address(token), value: new(big.Int), data: unhex(transferData)}
	out["legacy-eip155-native"] = s
	s.protected = false
	out["legacy-unprotected"] = s
	s.kind, s.to, s.data = 2, nil, unhex("6000")
	out["eip1559-contract-creation"] = s
	return out
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	var vectors []vector
	if err := json.Unmarshal(mustT(os.ReadFile(vectorFile))(t), &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

func TestVectors(t *testing.T) {
	all := specs()
	if *update {
		writeVectors(t, all)
	}
	vectors := readVectors(t)
	if len(vectors) != len(all) {
		t.Errorf("%d vectors, want %d: run go test ./evidence -update", len(vectors), len(all))
	}
	for _, v := range vectors {
		tx, signer := all[v.Name].reference(t)
		if want := hex.EncodeToString(signer.Hash(tx).Bytes()); v.Digest != want {
			t.Errorf("%s: digest in the file %s, go-ethereum's %s", v.Name, v.Digest, want)
		}
		raw := mustT(evidence.ParseRawTx(v.RawTx))(t)
		f := evidence.Check(evidence.Claim{Family: evidence.FamilyEVM, RawTx: v.RawTx})
		if f.Decoded == nil || f.Decoded.Digest != v.Digest || !reflect.DeepEqual(f.Decoded.Transaction, v.Decoded) {
			t.Errorf("%s: decoded %+v (%s), want %+v", v.Name, f.Decoded, f.Reason, v.Decoded)
		}
		if !bytes.Equal(raw, all[v.Name].payload(t)) {
			t.Errorf("%s: payload in the file is not the one of its fields", v.Name)
		}
	}
}

func writeVectors(t *testing.T, all map[string]txSpec) {
	var vectors []vector
	for _, name := range []string{
		"legacy-unprotected", "legacy-eip155-native", "legacy-eip155-erc20-transfer", "eip2930-access-list", "eip1559-native",
		"eip1559-erc20-transfer", "eip1559-access-list", "eip1559-contract-creation", "eip4844-blob", "eip7702-set-code",
	} {
		tx, signer := all[name].reference(t)
		raw := "0x" + hex.EncodeToString(all[name].payload(t))
		f := evidence.Check(evidence.Claim{Family: evidence.FamilyEVM, RawTx: raw})
		vectors = append(vectors, vector{name, raw, hex.EncodeToString(signer.Hash(tx).Bytes()), f.Decoded.Transaction})
	}
	out := append(mustT(json.MarshalIndent(vectors, "", " "))(t), '\n')
	if err := os.WriteFile(vectorFile, out, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEIP155Example is the example of EIP-155.
func TestEIP155Example(t *testing.T) {
	payload := unhex("ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080")
	tx := mustT(evidence.EVMTransaction(payload))(t)
	if got := hex.EncodeToString(tx.Digest[:]); got != "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53" {
		t.Errorf("digest %s", got)
	}
	if tx.Nonce != 9 || tx.ChainID.Int64() != 1 || tx.Gas != 21000 || tx.Price.Int64() != 20e9 || tx.Value.Int64() != 1e18 {
		t.Errorf("decoded %+v", tx)
	}
}

// TestEVMTransactionProperty compares every field and the digest with go-ethereum's for transactions of all types.
func TestEVMTransactionProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := genSpec().Draw(rt, "tx")
		got, err := evidence.EVMTransaction(s.payload(t))
		if err != nil {
			rt.Fatal(err)
		}
		tx, signer := s.reference(t)
		if signer.Hash(tx) != got.Digest {
			rt.Fatalf("digest %x, go-ethereum's %x", got.Digest, signer.Hash(tx))
		}
		fee := new(big.Int).Sub(tx.Cost(), tx.Value())
		same := got.Type == s.kind && got.Nonce == s.nonce && got.Gas == s.gas && got.Value.Cmp(s.value) == 0 &&
			got.Price.Cmp(s.price) == 0 && bytes.Equal(got.Data, s.data) && got.MaxFee.Cmp(fee) == 0 &&
			(got.To == nil) == (s.to == nil) && (got.To == nil || *got.To == *s.to) &&
			(got.ChainID == nil) == (s.kind == 0 && !s.protected) && (got.ChainID == nil || got.ChainID.Cmp(s.chainID) == 0) &&
			(got.TipCap == nil) == (s.kind < 2) && (got.TipCap == nil || got.TipCap.Cmp(s.tip) == 0)
		if !same {
			rt.Fatalf("decoded %+v, want %+v", got, s)
		}
		if s.kind > 0 && got.AccessList != len(s.accesses) || s.kind == 3 && got.Blobs != len(s.blobs) ||
			s.kind == 4 && len(got.Authorizations) != len(s.auths) {
			rt.Fatalf("lists of %+v, want those of %+v", got, s)
		}
	})
}

func TestEVMTransactionRefuses(t *testing.T) {
	good := specs()["eip1559-native"]
	payload, legacy := good.payload(t), specs()["legacy-eip155-native"].payload(t)
	noChain, hugeChain, hugeValue := good, good, good
	noChain.chainID, hugeChain.chainID = new(big.Int), new(big.Int).SetUint64(1<<63-36)
	hugeValue.value = new(big.Int).Lsh(big.NewInt(1), 256)
	legacyNoChain, legacyHuge := specs()["legacy-eip155-native"], specs()["legacy-eip155-native"]
	legacyNoChain.chainID, legacyHuge.chainID = new(big.Int), hugeChain.chainID
	signedTyped, signedLegacy := signedForms(t, good)
	list := func(fields ...any) []byte { return mustT(rlp.EncodeToBytes(fields))(t) }
	for name, c := range map[string]struct {
		payload []byte
		want    string
	}{
		"nothing":               {nil, "empty"},
		"type byte alone":       {payload[:1], "no RLP list"},
		"cut":                   {payload[:len(payload)-1], "no RLP list"},
		"trailing byte":         {append(bytes.Clone(payload), 0), "followed by 1 byte"},
		"legacy trailing byte":  {append(bytes.Clone(legacy), 0), "followed by 1 byte"},
		"type 0":                {append([]byte{0}, payload[1:]...), "type 0x00"},
		"type 5":                {append([]byte{5}, payload[1:]...), "type 0x05"},
		"EIP-191 prefix":        {append([]byte{0x19}, payload[1:]...), "type 0x19"},
		"RLP string":            {append([]byte{0x80}, payload[1:]...), "type 0x80"},
		"signed":                {signedTyped, "does not decode"},
		"signed legacy":         {signedLegacy, "signed already"},
		"no chain id":           {noChain.payload(t), "chain id"},
		"chain id too large":    {hugeChain.payload(t), "chain id"},
		"legacy chain id 0":     {legacyNoChain.payload(t), "chain id"},
		"legacy chain id large": {legacyHuge.payload(t), "chain id"},
		"value of 257 bits":     {hugeValue.payload(t), "257 bits"},
		"wrong type":            {append([]byte{1}, payload[1:]...), "does not decode"},
		"seven legacy fields":   {list(uint(1), uint(2), uint(3), make([]byte, 20), uint(0), []byte{}, uint(1)), "7 elements"},
		"address of 19 bytes":   {list(uint(1), uint(2), uint(3), make([]byte, 19), uint(0), []byte{}, uint(1), uint(0), uint(0)), "does not decode"},
		"leading zero":          {leadingZero(t), "does not decode"},
		"long-form length":      {longForm(payload), "no RLP list"},
		"oversized":             {make([]byte, evidence.MaxRawTx+1), "at most"},
	} {
		tx, err := evidence.EVMTransaction(c.payload)
		if err == nil || tx != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// signedForms are the finished transactions, which are not what is signed.
func signedForms(t *testing.T, s txSpec) (typed, legacy []byte) {
	t.Helper()
	key := mustT(crypto.ToECDSA(bytes.Repeat([]byte{7}, 32)))(t)
	for kind, out := range map[uint8]*[]byte{2: &typed, 0: &legacy} {
		s.kind, s.protected = kind, true
		tx, signer := s.reference(t)
		*out = mustT(mustT(types.SignTx(tx, signer, key))(t).MarshalBinary())(t)
	}
	return typed, legacy
}

// leadingZero has a nonce that is written as 00 07.
func leadingZero(t *testing.T) []byte {
	return mustT(rlp.EncodeToBytes([]any{[]byte{0, 7}, uint(2), uint(3), make([]byte, 20), uint(0), []byte{}, uint(1), uint(0), uint(0)}))(t)
}

// longForm writes the list's length with one byte more than needed.
func longForm(payload []byte) []byte {
	content := payload[2:]
	return append([]byte{payload[0], 0xf8, byte(len(content))}, content...)
}

func TestParseRawTx(t *testing.T) {
	for _, in := range []string{"0x02c0", "02c0", "02C0", "0x02C0"} {
		if got, err := evidence.ParseRawTx(in); err != nil || !bytes.Equal(got, []byte{2, 0xc0}) {
			t.Errorf("ParseRawTx(%q) = %x, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "empty", "0x": "empty", "0x0": "not the hex", "0X02": "not the hex", "0xzz": "not the hex", " 02": "not the hex",
		"cHNidP8BAHECAAAA": "PSBT", strings.Repeat("00", evidence.MaxRawTx+1): "at most",
	} {
		if _, err := evidence.ParseRawTx(in); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("ParseRawTx(%.20q): %v, want %q", in, err, want)
		}
	}
}

func FuzzEVMTransaction(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(mustT(evidence.ParseRawTx(v.RawTx))(f))
	}
	f.Add([]byte{})
	f.Add([]byte{2, 0xc0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		tx, err := evidence.EVMTransaction(payload)
		if len(payload) > 0 && len(payload) <= evidence.MaxRawTx {
			sameByGeth(t, payload)
		}
		if err != nil {
			return
		}
		if crypto.Keccak256Hash(payload) != tx.Digest {
			t.Fatal("the digest is not the payload's")
		}
		if tx.AccessList > 0 || tx.Blobs > 0 || len(tx.Authorizations) > 0 {
			return
		}
		s := txSpec{kind: tx.Type, protected: tx.ChainID != nil, chainID: tx.ChainID, nonce: tx.Nonce, gas: tx.Gas, price: tx.Price,
			tip: tx.TipCap, to: (*common.Address)(tx.To), value: tx.Value, data: tx.Data}
		if tx.Type == 3 { // the blob gas price is not among the decoded fields
			return
		}
		if got := s.payload(t); !bytes.Equal(got, payload) {
			t.Fatalf("%x encodes again as %x", payload, got)
		}
	})
}
