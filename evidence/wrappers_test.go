package evidence_test

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/common"
)

// exec is a Safe's execTransaction of a call; change may set its operation and gas price.
func exec(t testing.TB, to string, value *big.Int, data []byte, operation uint8, gasPrice int64) []byte {
	t.Helper()
	return packed(t, safeExec, *address(to), value, data, operation, n(0), n(0), n(gasPrice), common.Address{}, common.Address{}, []byte{1, 2, 3})
}

func multicall(t testing.TB, inner ...[]byte) []byte {
	t.Helper()
	return packed(t, "multicall(bytes[])", inner)
}

func multiSend(t testing.TB, calls ...packedCall) []byte {
	t.Helper()
	return packed(t, "multiSend(bytes)", packedCalls(calls...))
}

func transferTo(t testing.TB, to string, amount int64) []byte {
	t.Helper()
	return packed(t, evidence.MethodTransfer, *address(to), n(amount))
}

// TestWrappedTransfers: a claim about what a transaction does in the end is compared with just that, and one that
// declares the call with the call.
func TestWrappedTransfers(t *testing.T) {
	usd := asToken("erc20", 0)
	nft := evidence.Asset{Kind: "erc721", Contract: token, TokenID: n(5)}
	coin := evidence.Asset{Kind: "native"}
	send := transferTo(t, alice, 5)
	const verified, mismatch, unverifiable = evidence.Verified, evidence.Mismatch, evidence.Unverifiable
	at := func(contract string, data []byte, asset evidence.Asset, change ...func(*evidence.Claim)) evidence.Claim {
		c := claimed(t, contract, new(big.Int), data, asset)
		for _, f := range change {
			f(&c)
		}
		return c
	}
	declared := func(c *evidence.Claim) { c.To, c.Amount = safe, new(big.Int) }
	silent := func(c *evidence.Claim) { c.InputData = "" }
	fromSafe := func(data []byte) []byte { return exec(t, token, new(big.Int), data, 0, 0) }
	coins := exec(t, alice, n(5), nil, 0, 0)
	transferFrom := func(from string) []byte {
		return packed(t, evidence.MethodTransferFrom, *address(from), *address(alice), n(5))
	}
	approve := packed(t, evidence.MethodApprove, *address(alice), n(5))
	for name, c := range map[string]struct {
		claim  evidence.Claim
		status evidence.Status
		code   evidence.Code
		differ []string
	}{
		"a Safe's token":                   {at(safe, fromSafe(send), usd), verified, "", nil},
		"a Safe's token, undeclared":       {at(safe, fromSafe(send), usd, silent), verified, "", nil},
		"a Safe's token to somebody else":  {at(safe, fromSafe(transferTo(t, carol, 5)), usd), mismatch, "differs", []string{"to"}},
		"a Safe's token, more of it":       {at(safe, fromSafe(transferTo(t, alice, 6)), usd), mismatch, "differs", []string{"amount"}},
		"a Safe's other token":             {at(safe, exec(t, carol, new(big.Int), send, 0, 0), usd), mismatch, "differs", []string{"assetId"}},
		"a Safe's token and coins":         {at(safe, exec(t, token, n(1), send, 0, 0), usd), mismatch, "differs", []string{"movements"}},
		"a Safe's coins":                   {at(safe, coins, coin), verified, "", nil},
		"a Safe's coins, undeclared":       {at(safe, coins, coin, silent), mismatch, "differs", []string{"inputdata"}},
		"a Safe's coins to somebody else":  {at(safe, exec(t, carol, n(5), nil, 0, 0), coin), mismatch, "differs", []string{"to"}},
		"a Safe's coins, declared as call": {at(safe, coins, coin, declared), unverifiable, evidence.CodeNotTransfer, nil},
		"a Safe's token, declared as call": {at(safe, fromSafe(send), coin, declared), unverifiable, evidence.CodeNotTransfer, nil},
		"a Safe's token as coins":          {at(safe, fromSafe(send), coin), mismatch, "differs", []string{"to", "amount"}},
		"a Safe's approval as token":       {at(safe, fromSafe(approve), usd), mismatch, "differs", []string{"approvals"}},
		"a Safe's approval, declared":      {at(safe, fromSafe(approve), coin, declared), unverifiable, evidence.CodeNotTransfer, nil},
		"a Safe that pays for gas":         {at(safe, exec(t, token, new(big.Int), send, 0, 1), usd), unverifiable, evidence.CodeNotTransfer, nil},
		"a Safe that runs code":            {at(safe, exec(t, token, new(big.Int), send, 1, 0), usd), unverifiable, evidence.CodeDelegateCall, nil},
		"a Safe that runs unknown code":    {at(safe, exec(t, token, new(big.Int), unhex("12345678"), 1, 0), usd), unverifiable, evidence.CodeDelegateCall, nil},
		"a Safe's operation of no kind":    {at(safe, exec(t, token, new(big.Int), send, 2, 0), usd), unverifiable, evidence.CodeUndecodable, nil},
		"a Safe's unknown call":            {at(safe, fromSafe(unhex("12345678")), usd), unverifiable, evidence.CodeUnknownCall, nil},
		"a Safe's malformed call":          {at(safe, fromSafe(append(send, 0)), usd), unverifiable, evidence.CodeUndecodable, nil},
		"a Safe's allowance":               {at(safe, fromSafe(transferFrom(safe)), usd), mismatch, "differs", []string{"method"}},
		"a Safe's NFT":                     {at(safe, fromSafe(transferFrom(safe)), nft, one), verified, "", nil},
		"another Safe's NFT":               {at(safe, fromSafe(transferFrom(carol)), nft, one), mismatch, "differs", []string{"from"}},
		"an NFT":                           {at(token, transferFrom(bob), nft, one), verified, "", nil},
		"an NFT of an unknown signer":      {at(token, transferFrom(bob), nft, one, nobody), unverifiable, evidence.CodeNotTransfer, nil},
		"an NFT of a claimed signer":       {at(token, transferFrom(bob), nft, one, unsigned), verified, "", nil},
		"somebody else's NFT":              {at(token, transferFrom(carol), nft, one), mismatch, "differs", []string{"from"}},
		"another NFT":                      {at(token, packed(t, evidence.MethodTransferFrom, *address(bob), *address(alice), n(6)), nft, one), mismatch, "differs", []string{"tokenId"}},
		"an NFT that is not named":         {at(token, transferFrom(bob), asToken("erc721", 0), one), unverifiable, evidence.CodeIncomplete, nil},
		"an NFT of another contract":       {at(carol, transferFrom(bob), nft, one), mismatch, "differs", []string{"assetId", "amount"}},
		"an NFT as ERC-1155":               {at(token, transferFrom(bob), asToken("erc1155", 5)), mismatch, "differs", []string{"assetId"}},
		"multicall":                        {at(token, multicall(t, send), usd), verified, "", nil},
		"multicall of two":                 {at(token, multicall(t, send, send), usd), mismatch, "differs", []string{"movements"}},
		"multicall of one and another":     {at(token, multicall(t, transferTo(t, carol, 5), send), usd), mismatch, "differs", []string{"movements"}},
		"multicall of a claimed half":      {at(token, multicall(t, send, approve), usd), mismatch, "differs", []string{"approvals"}},
		"multicall with something unknown": {at(token, multicall(t, send, unhex("12345678")), usd), unverifiable, evidence.CodeUnknownCall, nil},
		"multicall of nothing":             {at(token, multicall(t), usd), unverifiable, evidence.CodeNotTransfer, nil},
		"multicall of an empty call":       {at(token, multicall(t, send, nil), usd), unverifiable, evidence.CodeUndecodable, nil},
		"multicall elsewhere":              {at(carol, multicall(t, send), usd), mismatch, "differs", []string{"assetId"}},
		"multicall of two, declared":       {at(safe, multicall(t, send, send), coin, declared), unverifiable, evidence.CodeNotTransfer, nil},
		"multicall of nothing, with coins": {func() evidence.Claim {
			c := claimed(t, safe, n(5), multicall(t), coin)
			c.To = safe
			return c
		}(), unverifiable, evidence.CodeNotTransfer, nil},
		"MultiSend of one": {at(safe, multiSend(t, packedCall{0, *address(token), n(0), send}), usd), verified, "", nil},
		"MultiSend by a Safe": {at(safe, exec(t, carol, new(big.Int), multiSend(t, packedCall{0, *address(token), n(0), send}), 1, 0), usd),
			unverifiable, evidence.CodeDelegateCall, nil},
		"MultiSend of two":           {at(safe, multiSend(t, packedCall{0, *address(token), n(0), send}, packedCall{0, *address(alice), n(1), nil}), usd), mismatch, "differs", []string{"movements"}},
		"MultiSend of code":          {at(safe, multiSend(t, packedCall{1, *address(token), n(0), send}), usd), unverifiable, evidence.CodeDelegateCall, nil},
		"MultiSend to nobody":        {at(safe, multiSend(t, packedCall{0, common.Address{}, n(0), send}), usd), unverifiable, evidence.CodeUndecodable, nil},
		"MultiSend of no kind":       {at(safe, multiSend(t, packedCall{2, *address(token), n(0), send}), usd), unverifiable, evidence.CodeUndecodable, nil},
		"MultiSend of nothing":       {at(safe, multiSend(t), usd), unverifiable, evidence.CodeNotTransfer, nil},
		"MultiSend cut":              {at(safe, packed(t, "multiSend(bytes)", packedCalls(packedCall{0, *address(token), n(0), send})[:100]), usd), unverifiable, evidence.CodeUndecodable, nil},
		"MultiSend with a byte over": {at(safe, packed(t, "multiSend(bytes)", append(packedCalls(packedCall{0, *address(token), n(0), send}), 0)), usd), unverifiable, evidence.CodeUndecodable, nil},
	} {
		f := evidence.Check(c.claim)
		wantFinding(t, name, f, c.status, c.code, c.differ...)
		if (f.Status == evidence.Verified) && (f.Decoded.Transfer == nil || len(f.Decoded.Movements) != 1 || !f.Decoded.Complete) {
			t.Errorf("%s: verified with %s", name, asJSON(t, f.Decoded))
		}
		if f.Decoded.Calls[0].Args != nil {
			if got := encoded(t, nil, f.Decoded.Calls); !bytes.Equal(got, unhex(f.Decoded.Transaction.Data[2:])) {
				t.Errorf("%s: encodes as %x", name, got)
			}
		}
	}
}

func one(c *evidence.Claim) { c.Amount = n(1) }

func nobody(c *evidence.Claim) { c.From, c.Signer = "", "" }

func unsigned(c *evidence.Claim) { c.Signer = "" }

// TestWrappedWithoutRawTx: calldata alone is followed in the same way, and nothing is verified.
func TestWrappedWithoutRawTx(t *testing.T) {
	usd, coin := asToken("erc20", 0), evidence.Asset{Kind: "native"}
	send := transferTo(t, alice, 5)
	for name, c := range map[string]struct {
		data   []byte
		asset  evidence.Asset
		status evidence.Status
		code   evidence.Code
		differ []string
	}{
		"a Safe's token":                  {exec(t, token, n(0), send, 0, 0), usd, evidence.Unverifiable, evidence.CodeNoRawTx, nil},
		"a Safe's token to somebody else": {exec(t, token, n(0), transferTo(t, carol, 5), 0, 0), usd, evidence.Mismatch, "differs", []string{"to"}},
		"a Safe's other token":            {exec(t, carol, n(0), send, 0, 0), usd, evidence.Mismatch, "differs", []string{"assetId"}},
		"a Safe's coins":                  {exec(t, alice, n(5), nil, 0, 0), coin, evidence.Unverifiable, evidence.CodeNoRawTx, nil},
		"a Safe's coins, more of them":    {exec(t, alice, n(6), nil, 0, 0), coin, evidence.Unverifiable, evidence.CodeNotTransfer, nil},
		"a Safe's token as coins":         {exec(t, token, n(0), send, 0, 0), coin, evidence.Unverifiable, evidence.CodeNotTransfer, nil},
		"multicall":                       {multicall(t, send), usd, evidence.Unverifiable, evidence.CodeNoRawTx, nil},
		"multicall of two":                {multicall(t, send, send), usd, evidence.Mismatch, "differs", []string{"movements"}},
		"an approval":                     {packed(t, "increaseAllowance(address,uint256)", *address(alice), n(5)), usd, evidence.Mismatch, "differs", []string{"approvals"}},
		"an approval as coins":            {packed(t, "increaseAllowance(address,uint256)", *address(alice), n(5)), coin, evidence.Unverifiable, evidence.CodeNotTransfer, nil},
		"unknown":                         {unhex("12345678"), usd, evidence.Unverifiable, evidence.CodeUnknownCall, nil},
		"an NFT":                          {packed(t, evidence.MethodTransferFrom, *address(bob), *address(alice), n(5)), asToken("erc721", 5), evidence.Mismatch, "differs", []string{"amount"}},
	} {
		claim := claimed(t, safe, new(big.Int), c.data, c.asset)
		claim.To, claim.Amount, claim.RawTx = alice, n(5), ""
		f := evidence.Check(claim)
		wantFinding(t, name, f, c.status, c.code, c.differ...)
		if f.Decoded.Kind != evidence.KindEVMCalldata || f.Decoded.Calls[0].Contract != "" || f.Decoded.Calls[0].Value != "" || f.Decoded.Transfer != nil {
			t.Errorf("%s: %s", name, asJSON(t, f.Decoded))
		}
	}
}

// TestBounds: what is wrapped four times is followed, and 64 calls in all are; more is said to be more.
func TestBounds(t *testing.T) {
	usd := asToken("erc20", 0)
	nested := func(levels int) []byte {
		data := transferTo(t, alice, 5)
		for range levels {
			data = multicall(t, data)
		}
		return data
	}
	wide := func(calls int) []byte {
		return multicall(t, slices.Repeat([][]byte{transferTo(t, alice, 5)}, calls)...)
	}
	halves := func(a, b int) []byte { return multicall(t, wide(a), wide(b)) }
	many := func(k int) []byte {
		ones := slices.Repeat([]*big.Int{n(1)}, k)
		return packed(t, "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", *address(bob), *address(alice), ones, ones, []byte{})
	}
	var sends []packedCall
	for range 100 {
		sends = append(sends, packedCall{0, *address(alice), n(1), nil})
	}
	for name, c := range map[string]struct {
		data             []byte
		code             evidence.Code
		calls, movements int
	}{
		"four levels":          {nested(4), "", 5, 1},
		"five levels":          {nested(5), evidence.CodeBound, 5, 0},
		"64 calls":             {wide(63), evidence.CodeDiffers, 64, 63},
		"65 calls":             {wide(64), evidence.CodeBound, 1, 0},
		"64 calls in halves":   {halves(31, 30), evidence.CodeDiffers, 64, 61},
		"65 calls in halves":   {halves(31, 31), evidence.CodeDiffers, 34, 31},
		"256 movements":        {many(256), evidence.CodeDiffers, 1, 256},
		"257 movements":        {many(257), evidence.CodeDiffers, 1, 256},
		"MultiSend of 100":     {multiSend(t, sends...), evidence.CodeBound, 1, 0},
		"many calls of nobody": {wide(500), evidence.CodeBound, 1, 0},
	} {
		f := evidence.Check(claimed(t, token, new(big.Int), c.data, usd))
		if f.Code != c.code || len(f.Decoded.Calls) != c.calls || len(f.Decoded.Movements) != c.movements {
			t.Errorf("%s: %s (%s), %d calls, %d movements; want %s, %d, %d", name, f.Code, f.Reason, len(f.Decoded.Calls), len(f.Decoded.Movements), c.code, c.calls, c.movements)
		}
		beyond := strings.HasPrefix(name, "five") || strings.HasPrefix(name, "65") || strings.HasPrefix(name, "257") || c.code == evidence.CodeBound
		if f.Decoded.Complete == beyond {
			t.Errorf("%s: complete is %v", name, f.Decoded.Complete)
		}
		if got := encoded(t, nil, f.Decoded.Calls); !bytes.Equal(got, c.data) {
			t.Errorf("%s: encodes otherwise again", name)
		}
	}
}

// TestOrder: calls are listed in the order in which they are made, each with who makes it.
func TestOrder(t *testing.T) {
	inner := exec(t, carol, new(big.Int), multiSend(t,
		packedCall{0, *address(alice), n(7), nil},
		packedCall{0, *address(token), n(0), multicall(t, transferTo(t, alice, 1), transferTo(t, carol, 2))},
		packedCall{1, *address(sender), n(9), unhex("12345678aa")},
	), 1, 0)
	f := evidence.Check(claimed(t, safe, n(3), inner, evidence.Asset{}))
	var got []string
	for _, s := range f.Decoded.Calls {
		name, _, _ := strings.Cut(s.Method, "(")
		line := strings.Repeat(" ", s.Depth) + s.From[:6] + ">" + s.Contract[:6] + " " + s.Value + " " + name + s.Data + " " + string(s.Code)
		if s.Delegate {
			line += " delegate"
		}
		got = append(got, line)
	}
	want := []string{
		"0x742d>0xdbF0 3 execTransaction ",
		" 0xdbF0>0xfB69 0 multiSend  delegate",
		"  0xdbF0>0x5aAe 7  ",
		"  0xdbF0>0xdAC1 0 multicall ",
		"   0xdbF0>0xdAC1  transfer ",
		"   0xdbF0>0xdAC1  transfer ",
		"  0xdbF0>0xD122 9 0x12345678aa unknown-call delegate",
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var moves []string
	for _, m := range f.Decoded.Movements {
		moves = append(moves, string(m.Asset)+" "+m.Amount+" "+m.From[:6]+">"+m.To[:6])
	}
	if want := []string{"native 3 0x742d>0xdbF0", "native 7 0xdbF0>0x5aAe", "erc20 1 0xdbF0>0x5aAe", "erc20 2 0xdbF0>0xfB69"}; !slices.Equal(moves, want) {
		t.Errorf("movements %v, want %v", moves, want)
	}
	if f.Code != evidence.CodeDelegateCall || f.Decoded.Complete {
		t.Errorf("%s, complete %v", f.Code, f.Decoded.Complete)
	}
}
