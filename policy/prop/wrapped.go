package prop

import (
	"math/big"
	"slices"
	"strings"
)

// Selectors of what makes calls that stand in its arguments.
const (
	selectorMulticall = "ac9650d8" // multicall(bytes[])
	selectorSafe      = "6a761202" // execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)
	selectorFrom      = "23b872dd" // transferFrom(address,address,uint256)
)

// What a transaction's own call may stand in.
const (
	wrapMulticall = "multicall"
	wrapMoving    = "multicall that moves tokens too"
	wrapSafe      = "Safe"
	wrapDelegate  = "Safe by DELEGATECALL"
)

// wraps are those of a form.
func (g *maker) wraps(r request) []string {
	if r[dimWhat] == formCall {
		return []string{none, wrapMulticall, wrapMoving, wrapSafe, wrapDelegate}
	}
	return []string{none, wrapMulticall, wrapSafe, wrapDelegate}
}

// wrap puts what a transaction calls into another call.
func (b *built) wrap(t *evmTransaction) error {
	switch b.request[dimWrap] {
	case wrapMulticall, wrapMoving:
		if t.data == "" || t.value.Sign() != 0 && b.request[dimWhat] == formTransfer {
			return errUnbuildable // the contract calls itself
		}
		inner := []string{t.data}
		if b.request[dimWrap] == wrapMoving {
			inner = append(inner, selectorTransfer+word(b.address(b.request[dimChain], stranger))+wordOf(big.NewInt(1)))
		}
		t.data = selectorMulticall + multicall(inner)
	case wrapSafe, wrapDelegate:
		operation := big.NewInt(0)
		if b.request[dimWrap] == wrapDelegate {
			operation = big.NewInt(1)
		}
		t.data = selectorSafe + safe(t.to, t.value, t.data, operation)
		t.to, t.value = b.safe(), new(big.Int)
	default:
		return nil
	}
	if b.request[dimWhat] == formCall {
		b.info["to"], b.info["inputdata"] = t.to, "0x"+t.data
	}
	return nil
}

// safe is a contract that data lets execute transactions, or one that it does not know.
func (b *built) safe() string {
	listed := b.world.Contracts[b.request[dimChain]]
	for _, address := range sorted(listed) {
		if _, may := listed[address].Methods["0x"+selectorSafe]; may {
			return address
		}
	}
	return "0x" + strings.Repeat("6", 40)
}

// multicall is the argument of multicall(bytes[]), in the ABI's encoding.
func multicall(calls []string) string {
	var heads, tails strings.Builder
	for _, data := range calls {
		heads.WriteString(wordOf(big.NewInt(int64(32*len(calls) + tails.Len()/2))))
		tails.WriteString(bytesOf(data))
	}
	return wordOf(big.NewInt(32)) + wordOf(big.NewInt(int64(len(calls)))) + heads.String() + tails.String()
}

// safe is the arguments of a Safe's execTransaction, without gas that is paid back and with a signature of no length.
func safe(to string, value *big.Int, data string, operation *big.Int) string {
	const arguments = 10
	zero, encoded := wordOf(new(big.Int)), bytesOf(data)
	return word(to) + wordOf(value) + wordOf(big.NewInt(arguments*32)) + wordOf(operation) + strings.Repeat(zero, 5) +
		wordOf(big.NewInt(int64(arguments*32+len(encoded)/2))) + encoded + zero
}

// bytesOf is a value of type bytes: its length, and the bytes up to a multiple of 32.
func bytesOf(data string) string {
	return wordOf(big.NewInt(int64(len(data)/2))) + data + strings.Repeat("0", (64-len(data)%64)%64)
}

// callArguments are those of a method that is known to generate: nothing, or something that it takes.
func (b *built) callArguments(selector string) string {
	switch {
	case selector == "a22cb465": // setApprovalForAll(address,bool)
		return word("0x"+strings.Repeat("5", 40)) + wordOf(big.NewInt(1))
	case selector == selectorFrom:
		return word("0x"+strings.Repeat("7", 40)) + word(b.address(b.request[dimChain], stranger)) + wordOf(big.NewInt(1))
	case selector == selectorTransfer:
		return word(b.address(b.request[dimChain], stranger)) + wordOf(big.NewInt(1))
	case slices.Contains([]string{"d0e30db0", "12210e8a"}, selector): // deposit(), refundETH()
		return ""
	}
	return strings.Repeat("00", 32)
}
