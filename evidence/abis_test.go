package evidence_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"
)

// ownABI is a contract of one's own: every type, tuples in arrays in tuples, names left out.
const ownABI = `[
 {"type":"constructor","inputs":[{"name":"x","type":"uint8"}]},
 {"type":"event","name":"Done","inputs":[],"anonymous":false},
 {"type":"receive","stateMutability":"payable"},
 {"type":"function","name":"pay","inputs":[
  {"name":"to","type":"address","internalType":"contract IERC20"},{"name":"amounts","type":"uint256[]"},{"name":"small","type":"uint24[2][]"},
  {"name":"signed","type":"int64"},{"name":"negative","type":"int256"},{"name":"flag","type":"bool"},{"name":"note","type":"string"},
  {"name":"tag","type":"bytes4"},{"name":"blob","type":"bytes"},{"name":"hook","type":"function"},
  {"name":"orders","type":"tuple[]","components":[{"name":"id","type":"uint8"},{"name":"legs","type":"tuple[2]","components":[{"name":"a","type":"address"},{"name":"b","type":"string[]"}]}]}]},
 {"type":"function","name":"mint","inputs":[]}]`

// sweepABI adds a method without names, which go-ethereum's own reader does not take.
var sweepABI = `[{"type":"function","name":"sweep","inputs":[{"name":"","type":"address"},{"name":"","type":"tuple","components":[{"name":"","type":"uint8"}]}]},` + ownABI[1:]

const payMethod = "pay(address,uint256[],uint24[2][],int64,int256,bool,string,bytes4,bytes,function,(uint8,(address,string[])[2])[])"

func loadABIs(t testing.TB, files map[string]string) *evidence.ABIs {
	t.Helper()
	return mustT(evidence.LoadABIs(folder(files)))(t)
}

func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

// TestOwnContract: calls of a contract whose ABI is known are shown by method and named arguments; what they do is open.
func TestOwnContract(t *testing.T) {
	abis := loadABIs(t, map[string]string{"1/" + strings.ToLower(safe) + ".json": sweepABI, ".git/x": "", "1/.hidden": ""})
	if abis.Len() != 1 || (*evidence.ABIs)(nil).Len() != 0 {
		t.Errorf("%d contracts", abis.Len())
	}
	methods := mustT(methodsOf([]byte(ownABI)))(t)
	type leg = struct {
		A common.Address `json:"a"`
		B []string       `json:"b"`
	}
	type order = struct {
		Id   uint8  `json:"id"`
		Legs [2]leg `json:"legs"`
	}
	m := methods[payMethod]
	data := slices.Concat(m.ID, mustT(m.Inputs.Pack(*address(alice), []*big.Int{n(1), power(256)}, [][2]*big.Int{{n(1), n(2)}}, int64(-5), n(-7), true, "héllo",
		[4]byte{1, 2}, []byte{9}, [24]byte{1}, []order{{3, [2]leg{{*address(bob), []string{"x", ""}}, {}}}}))(t))
	claim := claimed(t, safe, new(big.Int), data, evidence.Asset{})
	f := evidence.Check(claim)
	wantFinding(t, "without the ABI", f, evidence.Unverifiable, evidence.CodeUnknownCall)
	claim.ABIs = abis
	f = evidence.Check(claim)
	wantFinding(t, "with it", f, evidence.Unverifiable, evidence.CodeNotTransfer)
	want := `{"amounts":["1","` + power(256).String() + `"],"blob":"0x09","flag":true,"hook":"0x01` + strings.Repeat("00", 23) + `","negative":"-7","note":"héllo",` +
		`"orders":[{"id":"3","legs":[{"a":"` + bob + `","b":["x",""]},{"a":"0x0000000000000000000000000000000000000000","b":[]}]}],` +
		`"signed":"-5","small":[["1","2"]],"tag":"0x01020000","to":"` + alice + `"}`
	if got := asJSON(t, f.Decoded.Calls[0].Args); got != want || f.Decoded.Calls[0].Method != payMethod || f.Decoded.Complete {
		t.Errorf("%s %s, complete %v; want %s", f.Decoded.Calls[0].Method, got, f.Decoded.Complete, want)
	}
	if got := encoded(t, methods, f.Decoded.Calls); !bytes.Equal(got, data) {
		t.Errorf("encodes as %x, want %x", got, data)
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 0x40
		c := claimed(t, safe, new(big.Int), changed, evidence.Asset{})
		c.ABIs = abis
		if d := evidence.Check(c).Decoded; d.Calls[0].Args != nil && !bytes.Equal(encoded(t, methods, d.Calls), changed) {
			t.Fatalf("byte %d changed: encodes otherwise again", i)
		}
	}

	sweep := append(crypto.Keccak256([]byte("sweep(address,(uint8))"))[:4], make([]byte, 64)...)
	c := claimed(t, safe, new(big.Int), sweep, evidence.Asset{})
	c.ABIs = abis
	if got := asJSON(t, evidence.Check(c).Decoded.Calls[0].Args); got != `{"arg0":"0x0000000000000000000000000000000000000000","arg1":{"field0":"0"}}` {
		t.Errorf("arguments without names: %s", got)
	}
	for name, f := range map[string]func(*evidence.Claim){
		"another chain":    func(c *evidence.Claim) { c.ABIs = loadABIs(t, map[string]string{"56/" + safe + ".json": ownABI}) },
		"another contract": func(c *evidence.Claim) { c.ABIs = loadABIs(t, map[string]string{"1/" + carol + ".json": ownABI}) },
	} {
		other := claim
		f(&other)
		wantFinding(t, name, evidence.Check(other), evidence.Unverifiable, evidence.CodeUnknownCall)
	}
	claim.RawTx, claim.To, claim.Asset = "", safe, evidence.Asset{}
	wantFinding(t, "without rawTx", evidence.Check(claim), evidence.Unverifiable, evidence.CodeAsset)
	if got := evidence.Check(claim).Decoded.Calls[0].Method; got != "" {
		t.Errorf("without an asset the contract is %s", got)
	}
	claim.Asset = evidence.Asset{Kind: evidence.AssetNative}
	wantFinding(t, "as coins, without rawTx", evidence.Check(claim), evidence.Unverifiable, evidence.CodeNotTransfer)
}

// TestWords: arguments that are a word each are read as go-ethereum encodes them, and a changed word is other arguments or none.
func TestWords(t *testing.T) {
	const wordsABI = `[{"type":"function","name":"words","inputs":[{"name":"a","type":"address"},{"name":"b","type":"uint8"},{"name":"c","type":"uint256"},
	 {"name":"d","type":"bool"},{"name":"e","type":"bytes4"},{"name":"f","type":"bytes32"},{"name":"g","type":"uint96"}]}]`
	methods := mustT(methodsOf([]byte(wordsABI)))(t)
	m := methods["words(address,uint8,uint256,bool,bytes4,bytes32,uint96)"]
	abis := loadABIs(t, map[string]string{"1/" + strings.ToLower(safe) + ".json": wordsABI})
	decoded := func(data []byte) []evidence.Step {
		c := claimed(t, safe, new(big.Int), data, evidence.Asset{})
		c.ABIs = abis
		return evidence.Check(c).Decoded.Calls
	}
	data := slices.Concat(m.ID, mustT(m.Inputs.Pack(*address(alice), uint8(200), power(256), true, [4]byte{1, 2, 3, 4}, [32]byte{9, 31: 7}, power(96)))(t))
	want := `{"a":"` + alice + `","b":"200","c":"` + power(256).String() + `","d":true,"e":"0x01020304","f":"0x09` + strings.Repeat("00", 30) + `07","g":"` + power(96).String() + `"}`
	if got := asJSON(t, decoded(data)[0].Args); got != want {
		t.Errorf("read as %s, want %s", got, want)
	}
	refused := 0
	for i := range len(data) * 8 {
		if i < 32 {
			continue // the selector
		}
		changed := bytes.Clone(data)
		changed[i/8] ^= 1 << (i % 8)
		switch calls := decoded(changed); {
		case calls[0].Args == nil:
			refused++
		case !bytes.Equal(encoded(t, methods, calls), changed):
			t.Fatalf("bit %d changed: encodes otherwise again", i)
		}
	}
	if free := 8*(20+1+32+4+32+12) + 1; refused != 7*256-free {
		t.Errorf("%d changes of padding are refused, want %d", refused, 7*256-free)
	}
	for _, length := range []int{0, 1, 31, len(data) - 5, len(data) + 1, len(data) + 32} {
		cut := append(bytes.Clone(data), make([]byte, 64)...)[:length]
		if calls := decoded(cut); len(calls) > 0 && calls[0].Args != nil {
			t.Errorf("%d bytes are read", length)
		}
	}
}

// TestOwnABIComesFirst: what a contract's own ABI says of a selector holds; where it says the same as the standard, the
// effect is known.
func TestOwnABIComesFirst(t *testing.T) {
	transfer := `[{"type":"function","name":"transfer","inputs":[{"name":"x","type":"address"},{"name":"y","type":"uint256"}]}]`
	c := erc20(t)
	c.ABIs = loadABIs(t, map[string]string{"1/" + token + ".json": transfer})
	f := evidence.Check(c)
	wantFinding(t, "the same", f, evidence.Verified, "")
	if got := asJSON(t, f.Decoded.Calls[0].Args); got != `{"to":"`+alice+`","value":"1500000000"}` {
		t.Errorf("arguments %s", got)
	}
	// many_msg_babbage(bytes1) has the selector of transfer(address,uint256).
	c.ABIs = loadABIs(t, map[string]string{"1/" + token + ".json": `[{"type":"function","name":"many_msg_babbage","inputs":[{"name":"x","type":"bytes1"}]}]`})
	wantFinding(t, "another method of that selector", evidence.Check(c), evidence.Unverifiable, evidence.CodeUndecodable)
	c.Asset, c.To, c.Amount = evidence.Asset{Kind: evidence.AssetNative}, token, new(big.Int)
	c.RawTx = ""
	c.InputData = "0xa9059cbb01" + strings.Repeat("00", 31)
	f = evidence.Check(c)
	wantFinding(t, "another method, decoded", f, evidence.Unverifiable, evidence.CodeNotTransfer)
	if f.Decoded.Calls[0].Method != "many_msg_babbage(bytes1)" || len(f.Decoded.Movements) > 0 {
		t.Errorf("decoded as %s", asJSON(t, f.Decoded))
	}
}

func TestLoadABIsRefuses(t *testing.T) {
	function := func(inputs string) string {
		return `[{"type":"function","name":"f","inputs":[` + inputs + `]}]`
	}
	deep := `{"name":"x","type":"uint8"}`
	for range 10 {
		deep = `{"name":"x","type":"tuple","components":[` + deep + `]}`
	}
	large := `{"name":"x","type":"uint8[1000]"}`
	for range 5 {
		large = `{"name":"x","type":"tuple[1000]","components":[` + large + `]}`
	}
	many := strings.Repeat(`{"type":"function","name":"f%d","inputs":[]},`, 1025)
	numbers := make([]any, 1025)
	for i := range numbers {
		numbers[i] = i
	}
	name := "1/" + token + ".json"
	for what, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a file beside":         {map[string]string{"readme.md": ""}, "ABI readme.md: it must be named"},
		"no chain":              {map[string]string{token + ".json": "[]"}, "must be named"},
		"a chain's name":        {map[string]string{"mainnet/" + token + ".json": "[]"}, "must be named"},
		"chain 0":               {map[string]string{"0/" + token + ".json": "[]"}, "must be named"},
		"chain 01":              {map[string]string{"01/" + token + ".json": "[]"}, "must be named"},
		"another ending":        {map[string]string{"1/" + token + ".abi": "[]"}, "must be named"},
		"deeper":                {map[string]string{"1/x/" + token + ".json": "[]"}, "no address"},
		"a wrong checksum":      {map[string]string{"1/" + strings.Replace(token, "dAC", "DAC", 1) + ".json": "[]"}, "no address"},
		"twice":                 {map[string]string{name: "[]", "1/" + strings.ToLower(token) + ".json": "[]"}, "already"},
		"empty":                 {map[string]string{name: ""}, "one JSON array"},
		"an artifact":           {map[string]string{name: `{"abi":[]}`}, "one JSON array"},
		"after the end":         {map[string]string{name: "[] []"}, "one JSON array"},
		"a member twice":        {map[string]string{name: `[{"type":"function","name":"f","name":"g","inputs":[]}]`}, "one JSON array"},
		"large":                 {map[string]string{name: "[" + strings.Repeat(" ", 1<<20) + "]"}, "at most 1048576 bytes"},
		"an unknown element":    {map[string]string{name: `[{"type":"method","name":"f"}]`}, `"method"`},
		"no name":               {map[string]string{name: `[{"type":"function","inputs":[]}]`}, "name is malformed"},
		"a name of signs":       {map[string]string{name: `[{"type":"function","name":"f()","inputs":[]}]`}, "name is malformed"},
		"two of one selector":   {map[string]string{name: `[{"type":"function","name":"f"},{"type":"function","name":"f"}]`}, "same selector"},
		"1025 functions":        {map[string]string{name: "[" + strings.TrimSuffix(fmt.Sprintf(many, numbers...), ",") + "]"}, "more than 1024 functions"},
		"an argument twice":     {map[string]string{name: function(`{"name":"a","type":"bool"},{"name":"a","type":"bool"}`)}, "used twice"},
		"an argument's name":    {map[string]string{name: function(`{"name":"a b","type":"bool"}`)}, "malformed"},
		"no type":               {map[string]string{name: function(`{"name":"a"}`)}, "none of the ABI"},
		"uint":                  {map[string]string{name: function(`{"name":"a","type":"uint"}`)}, "none of the ABI"},
		"uint7":                 {map[string]string{name: function(`{"name":"a","type":"uint7"}`)}, "none of the ABI"},
		"uint264":               {map[string]string{name: function(`{"name":"a","type":"uint264"}`)}, "none of the ABI"},
		"bytes33":               {map[string]string{name: function(`{"name":"a","type":"bytes33"}`)}, "none of the ABI"},
		"fixed":                 {map[string]string{name: function(`{"name":"a","type":"fixed128x18"}`)}, "none of the ABI"},
		"a contract":            {map[string]string{name: function(`{"name":"a","type":"IERC20","internalType":"contract IERC20"}`)}, "none of the ABI"},
		"an open array":         {map[string]string{name: function(`{"name":"a","type":"bool["}`)}, "none of the ABI"},
		"five dimensions":       {map[string]string{name: function(`{"name":"a","type":"bool[][][][][]"}`)}, "none of the ABI"},
		"an array of none":      {map[string]string{name: function(`{"name":"a","type":"bool[0]"}`)}, "length 0"},
		"an array of 01":        {map[string]string{name: function(`{"name":"a","type":"bool[01]"}`)}, "length 01"},
		"a large array":         {map[string]string{name: function(`{"name":"a","type":"bool[64][65]"}`)}, "4096 words"},
		"a tuple of nothing":    {map[string]string{name: function(`{"name":"a","type":"tuple"}`)}, "components"},
		"components of a bool":  {map[string]string{name: function(`{"name":"a","type":"bool","components":[{"name":"b","type":"bool"}]}`)}, "components"},
		"tuples in tuples":      {map[string]string{name: function(deep)}, "levels deep"},
		"arrays in arrays":      {map[string]string{name: function(large)}, "4096 words"},
		"a component's trouble": {map[string]string{name: function(`{"name":"a","type":"tuple","components":[{"name":"b","type":"no"}]}`)}, "argument a: argument b"},
	} {
		abis, err := evidence.LoadABIs(folder(c.files))
		if err == nil || abis != nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 600 {
			t.Errorf("%s: %v, want an error with %q", what, err, c.want)
		}
	}
	if _, err := evidence.LoadABIs(fstest.MapFS{name: {Mode: 1 << 25}}); err == nil {
		t.Error("a file that is none is read")
	}
}

// genType draws a type of the ABI.
func genType(depth int) *rapid.Generator[abi.ArgumentMarshaling] {
	return rapid.Custom(func(t *rapid.T) abi.ArgumentMarshaling {
		base := rapid.SampledFrom([]string{"address", "bool", "string", "bytes", "bytes1", "bytes32", "uint8", "uint64", "uint160", "uint256", "int8", "int128", "function", "tuple"}).Draw(t, "base")
		out := abi.ArgumentMarshaling{Type: base}
		if base == "tuple" && depth == 0 {
			out.Type = "uint48"
		} else if base == "tuple" {
			for i := range rapid.IntRange(1, 3).Draw(t, "components") {
				c := genType(depth-1).Draw(t, "component")
				c.Name = fmt.Sprintf("c%d", i)
				out.Components = append(out.Components, c)
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "dimensions") {
			out.Type += rapid.SampledFrom([]string{"[]", "[1]", "[3]"}).Draw(t, "dimension")
		}
		return out
	})
}

// genValue draws a value of a type.
func genValue(t *rapid.T, typ abi.Type) reflect.Value {
	out := reflect.New(typ.GetType()).Elem()
	switch typ.T {
	case abi.SliceTy, abi.ArrayTy:
		if typ.T == abi.SliceTy {
			size := rapid.IntRange(0, 3).Draw(t, "length")
			out = reflect.MakeSlice(typ.GetType(), size, size)
		}
		for i := range out.Len() {
			out.Index(i).Set(genValue(t, *typ.Elem))
		}
	case abi.TupleTy:
		for i, e := range typ.TupleElems {
			out.Field(i).Set(genValue(t, *e))
		}
	case abi.BoolTy:
		out.SetBool(rapid.Bool().Draw(t, "bool"))
	case abi.StringTy:
		out.SetString(rapid.String().Draw(t, "string"))
	case abi.BytesTy:
		out.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "bytes"))
	case abi.UintTy, abi.IntTy:
		number := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, typ.Size/8).Draw(t, "number"))
		if typ.T == abi.IntTy {
			number.Sub(number, new(big.Int).Lsh(n(1), uint(typ.Size-1)))
		}
		setNumber(out, number)
	default: // arrays of bytes
		reflect.Copy(out, reflect.ValueOf(rapid.SliceOfN(rapid.Byte(), out.Len(), out.Len()).Draw(t, "fixed bytes")))
	}
	return out
}

// TestOwnABIProperty draws methods of any types and calls of them: what is decoded encodes to the same calldata again.
func TestOwnABIProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var inputs []abi.ArgumentMarshaling
		var args abi.Arguments
		for i := range rapid.IntRange(0, 4).Draw(rt, "arguments") {
			in := genType(2).Draw(rt, "type")
			in.Name = fmt.Sprintf("a%d", i)
			inputs = append(inputs, in)
			args = append(args, abi.Argument{Name: in.Name, Type: mustT(abi.NewType(in.Type, "", in.Components))(t)})
		}
		content := asJSON(t, []map[string]any{{"type": "function", "name": "own", "inputs": describeInputs(inputs)}})
		values := make([]any, len(args))
		for i, a := range args {
			values[i] = genValue(rt, a.Type).Interface()
		}
		m := abi.NewMethod("own", "own", abi.Function, "", false, false, args, nil)
		data := slices.Concat(m.ID, mustT(args.Pack(values...))(t))
		if len(data) > 1<<16 {
			rt.Skip("larger than a transaction")
		}
		c := claimed(t, safe, new(big.Int), data, evidence.Asset{})
		c.ABIs = loadABIs(t, map[string]string{"1/" + safe + ".json": content})
		d := evidence.Check(c).Decoded
		if d.Calls[0].Method != m.Sig {
			rt.Fatalf("%s decodes as %+v", m.Sig, d.Calls[0])
		}
		if got := encoded(t, map[string]abi.Method{m.Sig: m}, d.Calls); !bytes.Equal(got, data) {
			rt.Fatalf("%x encodes again as %x", data, got)
		}
	})
}

func describeInputs(in []abi.ArgumentMarshaling) []map[string]any {
	out := []map[string]any{}
	for _, a := range in {
		m := map[string]any{"name": a.Name, "type": a.Type}
		if len(a.Components) > 0 {
			m["components"] = describeInputs(a.Components)
		}
		out = append(out, m)
	}
	return out
}

// TestHostileCalldata: what go-ethereum's decoder would follow for ever, or into other parts of the calldata, is refused
// at once.
func TestHostileCalldata(t *testing.T) {
	word := func(v int64) string { return fmt.Sprintf("%064x", v) }
	same := unhex("ac9650d8" + word(32) + word(2000) + strings.Repeat(word(2000*32), 2000) + word(32) + word(0))
	overlap := unhex("ac9650d8" + word(32) + word(2) + word(64) + word(64) + word(32) + transferData[:64])
	gap := unhex("ac9650d8" + word(64) + word(0) + word(0))
	long := unhex("ac9650d8" + word(32) + strings.Repeat("f", 64))
	huge := unhex("ac9650d8" + word(32) + word(1) + word(32) + strings.Repeat("0", 48) + "7fffffffffffffff")
	back := unhex("ac9650d8" + word(0))
	nowhere := unhex("ac9650d8" + strings.Repeat("f", 64))
	padding := unhex("ac9650d8" + word(32) + word(1) + word(32) + word(1) + "01" + strings.Repeat("0", 61) + "1")
	for name, data := range map[string][]byte{
		"one part 2000 times": same, "parts in one place": overlap, "a gap": gap, "no end": long, "2^63 bytes": huge, "an offset back": back,
		"an offset to nowhere": nowhere, "padding": padding,
	} {
		f := evidence.Check(claimed(t, token, new(big.Int), data, asToken("erc20", 0)))
		if f.Code != evidence.CodeUndecodable || f.Decoded.Complete || f.Decoded.Calls[0].Args != nil {
			t.Errorf("%s: %s %s, %s", name, f.Status, f.Code, hex.EncodeToString(data[:min(len(data), 64)]))
		}
	}
}
