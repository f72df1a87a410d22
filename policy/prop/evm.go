package prop

import (
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
)

// Selectors of ERC-20.
const (
	selectorTransfer = "a9059cbb"
)

// evm fills in a transaction of a chain with accounts.
func (b *built) evm() error {
	chain := b.world.Chains[b.request[dimChain]]
	asset := chain.Assets[b.request[dimAsset]]
	if from, err := derive.EVMAddress(keyBytes(b.request[dimKey])); err == nil && b.request[dimPath] == "m" {
		b.info["from"] = from
	}
	b.info["gasLimit"], b.info["gasPrice"] = b.request[dimGasLimit], b.request[dimGasPrice]
	amount, to := b.integer(dimAmount), b.request[dimTo]
	if b.request[dimTwist] == "amount" {
		amount = new(big.Int).Add(amount, big.NewInt(1))
	}
	if b.request[dimTwist] == "recipient" {
		to = b.address(b.request[dimChain], stranger)
	}
	t := evmTransaction{
		chainID: new(big.Int).SetUint64(chain.ChainID), nonce: int64(b.serial), price: b.integer(dimGasPrice), gas: b.integer(dimGasLimit),
		to: to, value: amount,
	}
	switch {
	case b.request[dimWhat] == formCall:
		b.call(&t)
	case b.request[dimWhat] == formApprove:
		b.approve(&t)
	case asset.Contract != "":
		t.to, t.value = asset.Contract, new(big.Int)
		t.data = selectorTransfer + word(to) + wordOf(amount)
	}
	if err := b.wrap(&t); err != nil {
		return err
	}
	switch b.request[dimTwist] {
	case "chain":
		t.chainID.Add(t.chainID, big.NewInt(1))
	case "token":
		t.to = b.world.neighbour(b.request[dimChain], t.to)
	}
	raw, ok := t.encode()
	if !ok {
		return errUnbuildable
	}
	if b.request[dimWhat] == formClaim {
		b.check.RequestDetail.Message = strings.Repeat("5d", 32)
		return nil
	}
	return b.digest(hex.EncodeToString(raw))
}

// call fills in the call of a contract, as tx_info declares it.
func (b *built) call(t *evmTransaction) {
	t.to, t.data = b.request[dimContract], b.request[dimMethod]
	t.data += b.callArguments(t.data)
	b.info["to"], b.info["inputdata"] = t.to, "0x"+t.data
}

// approve fills in an approve or increaseAllowance of the first token of the chain.
func (b *built) approve(t *evmTransaction) {
	chain := b.world.Chains[b.request[dimChain]]
	var token string
	for _, id := range sorted(chain.Assets) {
		if _, listed := b.world.Allowances[b.request[dimChain]][id]; token == "" || listed {
			if c := chain.Assets[id].Contract; c != "" {
				token = c
			}
		}
	}
	t.to, t.data = token, b.request[dimMethod]+word(b.request[dimSpender])+wordOf(b.allowance())
	b.info["to"], b.info["inputdata"] = t.to, "0x"+t.data
}

func (b *built) allowance() *big.Int {
	if b.request[dimAllowance] == unlimited {
		return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	}
	return b.integer(dimAllowance)
}

// word is an address as 32 bytes of calldata, wordOf a number.
func word(address string) string {
	digits := strings.TrimPrefix(address, "0x")
	return strings.Repeat("0", max(0, 64-len(digits))) + digits
}

func wordOf(n *big.Int) string {
	digits := n.Text(16)
	return strings.Repeat("0", max(0, 64-len(digits))) + digits
}

// evmTransaction is one of EIP-1559.
type evmTransaction struct {
	chainID    *big.Int
	nonce      int64
	price, gas *big.Int
	to         string
	value      *big.Int
	data       string // hex
}

// encode is the payload that is signed: 0x02 and the RLP list of chain id, nonce, tip, max fee, gas, to, value, data and
// access list.
func (t *evmTransaction) encode() ([]byte, bool) {
	to, err := hex.DecodeString(strings.TrimPrefix(t.to, "0x"))
	data, err2 := hex.DecodeString(t.data)
	if err != nil || err2 != nil || len(to) != 20 || !t.gas.IsUint64() || t.value.BitLen() > 256 || t.price.BitLen() > 256 {
		return nil, false
	}
	var list []byte
	for _, field := range [][]byte{
		t.chainID.Bytes(), big.NewInt(t.nonce).Bytes(), nil, t.price.Bytes(), t.gas.Bytes(), to, t.value.Bytes(), data,
	} {
		list = append(list, rlpString(field)...)
	}
	list = append(list, 0xc0) // no access list
	return append([]byte{2}, append(rlpHead(0xc0, len(list)), list...)...), true
}

func rlpString(b []byte) []byte {
	if len(b) == 1 && b[0] < 0x80 {
		return b
	}
	return append(rlpHead(0x80, len(b)), b...)
}

// rlpHead is the head of a string (0x80) or list (0xc0) of so many bytes (Yellow Paper, appendix B).
func rlpHead(kind byte, length int) []byte {
	if length < 56 {
		return []byte{kind + byte(length)}
	}
	size := big.NewInt(int64(length)).Bytes()
	return append([]byte{kind + 55 + byte(len(size))}, size...)
}

func (b *built) evmAddress() string {
	address, err := derive.EVMAddress(keyBytes(b.request[dimKey]))
	if err != nil {
		return ""
	}
	return address
}
