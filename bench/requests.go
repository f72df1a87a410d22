package main

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"runtime"
	"sync"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	usdt    = "dac17f958d2ee523a2206206994597c13d831ec7"
	rootKey = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	listed  = 10_000 // entries of each address list
	wallets = 50
	paths   = 50
)

// allowed and denied are the entries of the address lists.
func allowed(i int) []byte { return address(0xa1, i) }
func denied(i int) []byte  { return address(0xde, i) }

func address(kind byte, i int) []byte {
	b := bytes.Repeat([]byte{kind}, 20)
	binary.BigEndian.PutUint32(b[16:], uint32(i)*2654435761) // spread over the list
	return b
}

// transfer is an unsigned EIP-1559 transaction that moves USDT.
func transfer(nonce int, to []byte, units int64) []byte {
	number := func(n int64) []byte { return big.NewInt(n).Bytes() }
	contract, _ := hex.DecodeString(usdt)
	data := append([]byte{0xa9, 0x05, 0x9c, 0xbb}, make([]byte, 12)...)
	data = append(data, to...)
	data = append(data, big.NewInt(units).FillBytes(make([]byte, 32))...)
	return append([]byte{0x02}, rlp([]any{
		number(1), number(int64(nonce)), number(1_000_000_000), number(21_000_000_000), number(65_000), contract, []byte{}, data, []any{},
	})...)
}

// rlp encodes byte strings and lists (Ethereum Yellow Paper, appendix B).
func rlp(item any) []byte {
	v, isBytes := item.([]byte)
	if !isBytes {
		var body []byte
		for _, e := range item.([]any) {
			body = append(body, rlp(e)...)
		}
		return append(rlpHead(0xc0, len(body)), body...)
	}
	if len(v) == 1 && v[0] < 0x80 {
		return v
	}
	return append(rlpHead(0x80, len(v)), v...)
}

func rlpHead(base byte, length int) []byte {
	if length < 56 {
		return []byte{base + byte(length)}
	}
	size := big.NewInt(int64(length)).Bytes()
	return append([]byte{base + 55 + byte(len(size))}, size...)
}

// check is the body number i: each asks for another transaction, of one of several wallets and keys, to an address of the
// list.
func check(i int) (*wire.Check, error) {
	units := int64(1_000_000 + i%900_000_000)
	to := allowed(i % listed)
	raw := "0x" + hex.EncodeToString(transfer(i/paths, to, units))
	id := fmt.Sprintf("pay-%08d", i)
	info, err := json.Marshal(map[string]any{
		"vaultId": "1", "walletId": fmt.Sprint(i % wallets), "requestId": id, "chainSymbol": "ETH", "assetId": "USDT_ETH",
		"to": "0x" + hex.EncodeToString(to), "amount": fmt.Sprint(units), "gasPrice": "21000000000", "gasLimit": "65000", "rawTx": raw,
	})
	if err != nil {
		return nil, err
	}
	payload, err := evidence.SigningDigest(evidence.Request{
		RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, RawTx: raw, HasTxInfo: true,
	})
	if err != nil {
		return nil, err
	}
	return &wire.Check{
		CallbackID: fmt.Sprintf("%032x", i), RequestType: wire.TypeSign,
		RequestDetail: wire.RequestDetail{
			T: 3, N: 3, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, PublicKey: rootKey,
			Path: fmt.Sprintf("m/44/60/0/0/%d", i%paths), Message: hex.EncodeToString(payload.Digest), TxInfo: info,
		},
		ExtraInfo: wire.ExtraInfo{SinoID: "s-" + id, RequestID: id},
	}, nil
}

// signRequests makes n requests, each as the bytes that go over a connection.
func signRequests(key *ecdsa.PrivateKey, n int) ([][]byte, error) {
	out := make([][]byte, n)
	errs := make([]error, runtime.NumCPU())
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			for i := worker; i < n && errs[worker] == nil; i += len(errs) {
				out[i], errs[worker] = signRequest(key, i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("sign the requests: %w", err)
		}
	}
	return out, nil
}

func signRequest(key *ecdsa.PrivateKey, i int) ([]byte, error) {
	c, err := check(i)
	if err != nil {
		return nil, err
	}
	body, signature, err := wire.SealCheck(key, c)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST /v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%s: %s\r\nContent-Length: %d\r\n\r\n",
		wire.HeaderSignature, signature, len(body))
	return append([]byte(head), body...), nil
}
