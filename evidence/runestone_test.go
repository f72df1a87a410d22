package evidence_test

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/txscript"
	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/evidence"
)

// varint writes a number as the runes protocol does.
func varint(v *big.Int) []byte {
	var out []byte
	for rest := new(big.Int).Set(v); ; {
		b := byte(new(big.Int).And(rest, big.NewInt(0x7f)).Uint64())
		if rest.Rsh(rest, 7); rest.Sign() == 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// runeScript is the output script of a message of some integers.
func runeScript(integers ...int64) []byte {
	var payload []byte
	for _, v := range integers {
		payload = append(payload, varint(big.NewInt(v))...)
	}
	return runePayloadScript(payload)
}

func runePayloadScript(payload []byte) []byte {
	b := txscript.NewScriptBuilder().AddOp(txscript.OP_RETURN).AddOp(txscript.OP_13)
	for chunk := range slices.Chunk(payload, 500) {
		b.AddOp(txscript.OP_PUSHDATA2).AddOps([]byte{byte(len(chunk)), byte(len(chunk) >> 8)}).AddOps(chunk)
	}
	script, err := b.Script()
	if err != nil {
		panic(err)
	}
	return script
}

var plainScript = append([]byte{txscript.OP_0, txscript.OP_DATA_20}, make([]byte, 20)...)

func TestFindRunestoneReadsEdicts(t *testing.T) {
	// Edicts count on from the rune id before them: 2818544:3897, then 2818544:3900, then 2818545:7.
	r := evidence.FindRunestone([][]byte{plainScript, runeScript(22, 0, 0, 2818544, 3897, 100, 1, 0, 3, 5, 2, 1, 7, 0, 0), plainScript})
	if r == nil || r.Cenotaph != "" || r.Etching || r.Mint != "" || r.Output != 1 || !slices.Equal(r.Pointers, []uint32{0}) {
		t.Fatalf("runestone is %+v", r)
	}
	got := fmt.Sprint(r.Edicts)
	if want := "[{2818544:3897 100 1} {2818544:3900 5 2} {2818545:7 0 0}]"; got != want {
		t.Errorf("edicts are %s, want %s", got, want)
	}
}

func TestFindRunestoneTakesTheFirstMessageOnly(t *testing.T) {
	r := evidence.FindRunestone([][]byte{{txscript.OP_RETURN}, {txscript.OP_RETURN, txscript.OP_12}, runeScript(20, 1, 20, 1), runeScript(0, 1, 1, 1, 0)})
	if r == nil || r.Output != 2 || r.Mint != "1:1" || len(r.Edicts) != 0 {
		t.Errorf("runestone is %+v", r)
	}
	for name, scripts := range map[string][][]byte{
		"no outputs": nil, "no message": {plainScript}, "empty script": {{}}, "pushed 13": {{txscript.OP_RETURN, txscript.OP_DATA_1, 13}},
	} {
		if r := evidence.FindRunestone(scripts); r != nil {
			t.Errorf("%s: found %+v", name, r)
		}
	}
}

func TestFindRunestoneTellsCenotaphs(t *testing.T) {
	head := []byte{txscript.OP_RETURN, txscript.OP_13}
	overlong := make([]byte, 20)
	for i := range 19 {
		overlong[i] = 0x80
	}
	tooLarge := slices.Clone(overlong[:19])
	tooLarge[18] = 4
	for name, script := range map[string][]byte{
		"opcode in the message":       append(slices.Clone(head), txscript.OP_VERIFY),
		"OP_1 in the message":         append(slices.Clone(head), txscript.OP_1),
		"cut off push":                append(slices.Clone(head), txscript.OP_DATA_4),
		"cut off integer":             append(slices.Clone(head), txscript.OP_DATA_1, 0x80),
		"overlong integer":            runePayloadScript(overlong),
		"integer of 2^128":            runePayloadScript(tooLarge),
		"tag without value":           runeScript(1),
		"unknown even tag":            runeScript(126, 0),
		"unknown even tag, large":     runePayloadScript(append(varint(new(big.Int).Lsh(big.NewInt(1), 100)), 0)),
		"etching's tag, no etching":   runeScript(4, 5),
		"terms without etching":       runeScript(2, 2),
		"turbo without etching":       runeScript(2, 4),
		"unknown flag":                runeScript(2, 9),
		"two values of flags":         runeScript(2, 1, 2, 1),
		"mint of one number":          runeScript(20, 1),
		"mint of three numbers":       runeScript(20, 1, 20, 1, 20, 1),
		"mint of no rune id":          runeScript(20, 0, 20, 1),
		"pointer beyond the outputs":  runeScript(22, 1),
		"edict cut off":               runeScript(0, 1, 1, 1),
		"edict beyond the outputs":    runeScript(0, 1, 1, 1, 2),
		"edict of no rune id":         runeScript(0, 0, 1, 1, 0),
		"edict's transaction too big": runeScript(0, 1, 1<<32-1, 1, 0, 0, 1, 1, 0),
		"second edict is malformed":   runeScript(0, 1, 1, 1, 0, 9),
	} {
		r := evidence.FindRunestone([][]byte{script})
		if r == nil || r.Cenotaph == "" || len(r.Edicts) != 0 {
			t.Errorf("%s: is %+v, want a cenotaph", name, r)
		}
	}
}

func TestFindRunestoneKeepsWhatIsNoFlaw(t *testing.T) {
	largest := append(slices.Repeat([]byte{0xff}, 18), 3)
	for name, script := range map[string][]byte{
		"nothing":                   runeScript(),
		"unknown odd tag":           runeScript(127, 0, 1, 300, 3, 1<<40),
		"unknown odd tag, large":    runePayloadScript(append(varint(new(big.Int).SetBit(big.NewInt(1), 100, 1)), 0)),
		"the largest integer":       runePayloadScript(append(append([]byte{0, 1, 1}, largest...), 0)),
		"padded integer":            runePayloadScript([]byte{0, 0x81, 0x80, 0, 1, 1, 0}),
		"edict to every output":     runeScript(0, 1, 1, 1, 1),
		"etching with all its tags": runeScript(2, 7, 4, 99, 6, 1, 8, 1, 10, 1, 12, 1, 14, 1, 16, 1, 18, 1),
	} {
		r := evidence.FindRunestone([][]byte{script})
		if r == nil || r.Cenotaph != "" {
			t.Errorf("%s: is %+v, want no cenotaph", name, r)
		}
	}
}

// What an encoder of this test writes is read back.
func TestFindRunestoneRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outputs := rapid.IntRange(1, 5).Draw(t, "outputs")
		var want []string
		payload := []byte{0}
		block, tx := int64(0), int64(0)
		for range rapid.IntRange(0, 8).Draw(t, "edicts") {
			db, dt := rapid.Int64Range(0, 5).Draw(t, "block"), rapid.Int64Range(0, 1000).Draw(t, "tx")
			if block == 0 && db == 0 {
				db = 1
			}
			if block += db; db == 0 {
				tx += dt
			} else {
				tx = dt
			}
			amount := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "amount"))
			output := rapid.IntRange(0, outputs).Draw(t, "output")
			for _, v := range []*big.Int{big.NewInt(db), big.NewInt(dt), amount, big.NewInt(int64(output))} {
				payload = append(payload, varint(v)...)
			}
			want = append(want, fmt.Sprintf("%d:%d %s %d", block, tx, amount, output))
		}
		scripts := append([][]byte{runePayloadScript(payload)}, slices.Repeat([][]byte{plainScript}, outputs-1)...)
		r := evidence.FindRunestone(scripts)
		if r == nil || r.Cenotaph != "" {
			t.Fatalf("runestone is %+v", r)
		}
		var got []string
		for _, e := range r.Edicts {
			got = append(got, fmt.Sprintf("%s %s %d", e.RuneID, e.Amount, e.Output))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("edicts are %v, want %v", got, want)
		}
	})
}

func FuzzFindRunestone(f *testing.F) {
	f.Add(runeScript(22, 0, 0, 2818544, 3897, 100, 0), uint8(2))
	f.Add(runeScript(2, 1, 4, 99), uint8(1))
	f.Add([]byte{txscript.OP_RETURN, txscript.OP_13, txscript.OP_PUSHDATA4, 0xff, 0xff, 0xff, 0xff}, uint8(1))
	f.Fuzz(func(t *testing.T, script []byte, outputs uint8) {
		scripts := append([][]byte{script}, slices.Repeat([][]byte{plainScript}, int(outputs))...)
		r := evidence.FindRunestone(scripts)
		if r == nil {
			return
		}
		if r.Cenotaph != "" && (len(r.Edicts) > 0 || len(r.Pointers) > 0 || r.Mint != "") {
			t.Errorf("a cenotaph moves something: %+v", r)
		}
		for _, e := range r.Edicts {
			if int(e.Output) > len(scripts) || e.Amount.BitLen() > 128 || e.Amount.Sign() < 0 {
				t.Errorf("edict %+v of %d outputs", e, len(scripts))
			}
		}
	})
}
