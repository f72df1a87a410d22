package callback_test

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// payment is an ERC-20 transfer as a node asks for it.
type payment struct {
	callbackID string
	requestID  string // of the request, and of the payment
	amount     int64  // USDT, whole
	nonce      int64
	to         string // "": recipient
	requester  string
	claim      func(txInfo map[string]any) // changes tx_info after it was made of the transaction
}

// rlp encodes byte strings and lists (Ethereum Yellow Paper, appendix B).
func rlp(item any) []byte {
	switch v := item.(type) {
	case []byte:
		if len(v) == 1 && v[0] < 0x80 {
			return v
		}
		return append(rlpHead(0x80, len(v)), v...)
	case []any:
		var body []byte
		for _, e := range v {
			body = append(body, rlp(e)...)
		}
		return append(rlpHead(0xc0, len(body)), body...)
	}
	panic("rlp: bytes and lists only")
}

func rlpHead(base byte, length int) []byte {
	if length < 56 {
		return []byte{base + byte(length)}
	}
	size := big.NewInt(int64(length)).Bytes()
	return append([]byte{base + 55 + byte(len(size))}, size...)
}

func fromHex(s string) []byte {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		panic(err)
	}
	return b
}

// rawTx is the unsigned EIP-1559 transaction of the payment.
func (p payment) rawTx() string {
	number := func(n int64) []byte { return big.NewInt(n).Bytes() }
	units := new(big.Int).Mul(big.NewInt(p.amount), big.NewInt(1_000_000))
	data := fromHex("a9059cbb")
	data = append(data, make([]byte, 12)...)
	data = append(data, fromHex(cmp.Or(p.to, recipient))...)
	data = append(data, units.FillBytes(make([]byte, 32))...)
	list := rlp([]any{
		number(1), number(p.nonce), number(1_000_000_000), number(21_000_000_000), number(65_000), fromHex(usdt), []byte{}, data, []any{},
	})
	return "0x02" + hex.EncodeToString(list)
}

func (p payment) txInfo() map[string]any {
	info := map[string]any{
		"vaultId": "1", "walletId": "2", "requestId": p.requestID, "chainSymbol": "ETH", "assetId": "USDT_ETH", "to": cmp.Or(p.to, recipient),
		"amount": fmt.Sprint(p.amount * 1_000_000), "gasPrice": "21000000000", "gasLimit": "65000", "rawTx": p.rawTx(),
	}
	if p.requester != "" {
		info["requester"] = map[string]any{"key_id": p.requester, "signature": "00"}
	}
	if p.claim != nil {
		p.claim(info)
	}
	return info
}

// check is the request to /check. The digest is that of the transaction, as a node computes it.
func (p payment) check(t testing.TB) *wire.Check {
	t.Helper()
	payload := must[evidence.Payload](t)(evidence.SigningDigest(evidence.Request{
		RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, RawTx: p.rawTx(), HasTxInfo: true,
	}))
	return &wire.Check{
		CallbackID: p.callbackID, RequestType: wire.TypeSign,
		RequestDetail: wire.RequestDetail{
			T: 3, N: 3, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeTransaction, PublicKey: rootKey, Path: "m/44/60/0/0/0",
			Message: hex.EncodeToString(payload.Digest), TxInfo: must[[]byte](t)(json.Marshal(p.txInfo())),
		},
		ExtraInfo: wire.ExtraInfo{SinoID: "s-" + p.requestID, RequestID: p.requestID},
	}
}
