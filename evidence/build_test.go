package evidence_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"pgregory.net/rapid"
)

// txSpec says what a transaction is to be; payload and reference make it in two independent ways.
type txSpec struct {
	kind       uint8
	protected  bool // legacy only: with EIP-155
	chainID    *big.Int
	nonce, gas uint64
	price, tip *big.Int
	to         *common.Address
	value      *big.Int
	data       []byte
	accesses   types.AccessList
	blobPrice  *big.Int
	blobs      []common.Hash
	auths      []authSpec
}

// authSpec is an EIP-7702 authorization as its RLP list.
type authSpec struct {
	ChainID *big.Int
	Address common.Address
	Nonce   uint64
	V       uint8
	R, S    *big.Int
}

// payload encodes the signing payload as the EIP's list of fields says.
func (s txSpec) payload(t testing.TB) []byte {
	t.Helper()
	to := []byte{}
	if s.to != nil {
		to = s.to[:]
	}
	fees := []any{s.chainID, s.nonce, s.tip, s.price, s.gas, to, s.value, s.data, s.accesses}
	var fields []any
	switch s.kind {
	case 0:
		fields = []any{s.nonce, s.price, s.gas, to, s.value, s.data}
		if s.protected {
			fields = append(fields, s.chainID, uint(0), uint(0))
		}
		return mustT(rlp.EncodeToBytes(fields))(t)
	case 1:
		fields = []any{s.chainID, s.nonce, s.price, s.gas, to, s.value, s.data, s.accesses}
	case 2:
		fields = fees
	case 3:
		fields = append(fees, s.blobPrice, s.blobs)
	case 4:
		fields = append(fees, s.auths)
	}
	return append([]byte{s.kind}, mustT(rlp.EncodeToBytes(fields))(t)...)
}

// reference is the same transaction as go-ethereum builds it, and the signer that hashes it.
func (s txSpec) reference(t testing.TB) (*types.Transaction, types.Signer) {
	t.Helper()
	signer := types.LatestSignerForChainID(s.chainID)
	switch s.kind {
	case 0:
		if !s.protected {
			signer = types.HomesteadSigner{}
		}
		return types.NewTx(&types.LegacyTx{Nonce: s.nonce, GasPrice: s.price, Gas: s.gas, To: s.to, Value: s.value, Data: s.data}), signer
	case 1:
		return types.NewTx(&types.AccessListTx{ChainID: s.chainID, Nonce: s.nonce, GasPrice: s.price, Gas: s.gas, To: s.to,
			Value: s.value, Data: s.data, AccessList: s.accesses}), signer
	case 2:
		return types.NewTx(&types.DynamicFeeTx{ChainID: s.chainID, Nonce: s.nonce, GasTipCap: s.tip, GasFeeCap: s.price,
			Gas: s.gas, To: s.to, Value: s.value, Data: s.data, AccessList: s.accesses}), signer
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalJSON(mustT(json.Marshal(s.rpc()))(t)); err != nil {
		t.Fatal(err)
	}
	return tx, signer
}

// rpc is the transaction's JSON-RPC form.
func (s txSpec) rpc() map[string]any {
	quantity := func(n *big.Int) string { return fmt.Sprintf("%#x", n) }
	m := map[string]any{
		"type": fmt.Sprintf("%#x", s.kind), "chainId": quantity(s.chainID), "nonce": fmt.Sprintf("%#x", s.nonce),
		"gas": fmt.Sprintf("%#x", s.gas), "maxFeePerGas": quantity(s.price), "maxPriorityFeePerGas": quantity(s.tip),
		"to": s.to.Hex(), "value": quantity(s.value), "input": "0x" + hex.EncodeToString(s.data), "accessList": s.accesses,
		"v": "0x0", "r": "0x0", "s": "0x0", "yParity": "0x0",
	}
	if s.kind == 3 {
		m["maxFeePerBlobGas"], m["blobVersionedHashes"] = quantity(s.blobPrice), s.blobs
		return m
	}
	auths := []any{}
	for _, a := range s.auths {
		auths = append(auths, map[string]any{"chainId": quantity(a.ChainID), "address": a.Address,
			"nonce": fmt.Sprintf("%#x", a.Nonce), "yParity": fmt.Sprintf("%#x", a.V), "r": quantity(a.R), "s": quantity(a.S)})
	}
	m["authorizationList"] = auths
	return m
}

// genSpec draws any transaction of any type.
func genSpec() *rapid.Generator[txSpec] {
	return rapid.Custom(func(t *rapid.T) txSpec {
		s := txSpec{
			kind: rapid.Uint8Range(0, 4).Draw(t, "type"), protected: rapid.Bool().Draw(t, "protected"),
			chainID: new(big.Int).SetUint64(rapid.Uint64Range(1, 1<<63-37).Draw(t, "chain id")),
			nonce:   rapid.Uint64().Draw(t, "nonce"), gas: rapid.Uint64().Draw(t, "gas"),
			price: genAmount().Draw(t, "price"), tip: genAmount().Draw(t, "tip"), value: genAmount().Draw(t, "value"),
			data: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data"), accesses: types.AccessList{}, blobPrice: genAmount().Draw(t, "blob price"),
		}
		if s.kind >= 3 || rapid.Bool().Draw(t, "has recipient") {
			to := genAddress().Draw(t, "to")
			s.to = &to
		}
		fewest := 0
		if s.kind == 3 {
			fewest = 1 // go-ethereum's JSON form of a blob transaction demands a blob
		}
		for range rapid.IntRange(fewest, 2).Draw(t, "entries") {
			key := common.BytesToHash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
			s.accesses = append(s.accesses, types.AccessTuple{Address: genAddress().Draw(t, "address"), StorageKeys: []common.Hash{key}})
			s.blobs = append(s.blobs, key)
			s.auths = append(s.auths, authSpec{ChainID: s.chainID, Address: genAddress().Draw(t, "delegate"), Nonce: s.nonce,
				V: 1, R: genAmount().Draw(t, "r"), S: genAmount().Draw(t, "s")})
		}
		return s
	})
}

func genAmount() *rapid.Generator[*big.Int] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 32), func(b []byte) *big.Int { return new(big.Int).SetBytes(b) })
}

func genAddress() *rapid.Generator[common.Address] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 20, 20), func(b []byte) common.Address { return common.BytesToAddress(b) })
}

// mustT turns a result with an error into one that ends the test.
func mustT[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func address(s string) *common.Address {
	raw, err := derive.ParseEVMAddress(s)
	if err != nil {
		panic(err)
	}
	a := common.Address(raw)
	return &a
}
