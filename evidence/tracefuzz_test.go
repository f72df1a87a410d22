package evidence_test

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"testing"
	"testing/fstest"

	"github.com/countersign-mpc/countersign/evidence"
)

func hexString(b []byte) string { return hex.EncodeToString(b) }

// kinds are the assets that a fuzzed claim is about.
func kinds(i uint8) evidence.Asset {
	return []evidence.Asset{
		{Kind: evidence.AssetNative}, asToken("erc20", 0), asToken("erc721", 5), asToken("erc1155", 7), {},
	}[i%5]
}

// sound holds what must be true of every account of calldata: it is bounded, it encodes to the calldata again, and what
// is verified is one movement and that which is claimed.
func sound(t *testing.T, claim evidence.Claim, data []byte) {
	t.Helper()
	f := evidence.Check(claim)
	d := f.Decoded
	if d == nil || len(d.Calls) == 0 {
		t.Fatalf("%s %s: nothing is said of the call", f.Status, f.Code)
	}
	if len(d.Calls) > 64 || len(d.Movements)+len(d.Approvals) > 256 {
		t.Fatalf("%d calls, %d movements, %d approvals", len(d.Calls), len(d.Movements), len(d.Approvals))
	}
	if raw := asJSON(t, f); len(raw) > 64<<10+20*len(data) {
		t.Fatalf("a finding of %d bytes about %d bytes of calldata", len(raw), len(data))
	}
	if d.Calls[0].Args != nil {
		if got := encoded(t, nil, d.Calls); !bytes.Equal(got, data) {
			t.Fatalf("%x encodes again as %x", data, got)
		}
	}
	sameCall(t, d, data)
	for _, s := range d.Calls {
		if s.Depth > 4 || (s.Code != "" && d.Complete) {
			t.Fatalf("complete %v with %+v", d.Complete, s)
		}
	}
	if f.Status != evidence.Verified {
		return
	}
	if !d.Complete || len(d.Movements) != 1 || len(d.Approvals) > 0 || claim.RawTx == "" {
		t.Fatalf("verified: %s", asJSON(t, d))
	}
	m := d.Movements[0]
	if m.Asset != claim.Asset.Kind || m.To != claim.To || m.Amount != claim.Amount.String() || m.Contract != claim.Asset.Contract ||
		(claim.Asset.TokenID != nil && m.TokenID != claim.Asset.TokenID.String()) {
		t.Fatalf("verified as %+v: %+v", claim.Asset, m)
	}
}

func FuzzCalldata(f *testing.F) {
	i := uint8(0)
	for _, c := range callCases() {
		f.Add(packed(f, c.signature, c.args...), i, c.value > 0)
		i++
	}
	send := transferTo(f, alice, 5)
	f.Add(exec(f, token, new(big.Int), multicall(f, send), 0, 0), uint8(1), false)
	f.Add(exec(f, carol, new(big.Int), multiSend(f, packedCall{0, *address(token), n(0), send}, packedCall{1, *address(alice), n(0), nil}), 1, 0), uint8(1), false)
	f.Add([]byte{1}, uint8(0), false)
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, coins bool) {
		if len(data) == 0 || len(data) > 1<<14 {
			return
		}
		value := new(big.Int)
		if coins {
			value = n(5)
		}
		claim := claimed(t, token, value, data, kinds(kind))
		claim.To, claim.Amount = alice, n(5)
		if kinds(kind).Kind == evidence.AssetERC721 {
			claim.Amount = n(1)
		}
		sound(t, claim, data)
		claim.RawTx = ""
		sound(t, claim, data)
	})
}

func FuzzMultiSend(f *testing.F) {
	send := transferTo(f, alice, 5)
	f.Add(packedCalls(packedCall{0, *address(token), n(0), send}), true)
	f.Add(packedCalls(packedCall{0, *address(alice), n(5), nil}, packedCall{1, *address(token), n(0), send}), true)
	f.Add(packedCalls(packedCall{2, *address(token), n(0), send}), false)
	f.Add([]byte{}, false)
	f.Add(make([]byte, 85), false)
	f.Fuzz(func(t *testing.T, calls []byte, delegated bool) {
		if len(calls) > 1<<14 {
			return
		}
		data := packed(t, "multiSend(bytes)", calls)
		if delegated {
			data = exec(t, carol, new(big.Int), data, 1, 0)
		}
		claim := claimed(t, token, new(big.Int), data, asToken("erc20", 0))
		sound(t, claim, data)
	})
}

func FuzzLoadABIs(f *testing.F) {
	f.Add("1/"+token+".json", ownABI)
	f.Add("1/"+token+".json", sweepABI)
	f.Add("0/x.json", "[]")
	f.Add("56/"+safe+".json", `[{"type":"function","name":"f","inputs":[{"name":"a","type":"tuple[2][]","components":[{"name":"","type":"uint8[4]"}]}]}]`)
	f.Fuzz(func(t *testing.T, name, content string) {
		abis, err := evidence.LoadABIs(fstest.MapFS{name: {Data: []byte(content)}})
		if (err == nil) != (abis != nil) {
			t.Fatalf("%v, %v", abis, err)
		}
	})
}
