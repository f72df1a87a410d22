package evidence_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"
)

// This file is EIP-712 written down a second time, plainly and for valid input only, to compare with.

type refField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type refDocument struct {
	Types       map[string][]refField `json:"types"`
	PrimaryType string                `json:"primaryType"`
	Domain      map[string]any        `json:"domain"`
	Message     map[string]any        `json:"message"`
}

func (d refDocument) digest() [32]byte {
	return crypto.Keccak256Hash([]byte("\x19\x01"), d.encode("EIP712Domain", d.Domain), d.encode(d.PrimaryType, d.Message))
}

func (d refDocument) encodeType(name string) string {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(s string) {
		base, _, _ := strings.Cut(s, "[")
		if fields, ok := d.Types[base]; ok && !seen[base] {
			seen[base] = true
			for _, f := range fields {
				visit(f.Type)
			}
		}
	}
	visit(name)
	delete(seen, name)
	others := make([]string, 0, len(seen))
	for s := range seen {
		others = append(others, s)
	}
	slices.Sort(others)
	out := ""
	for _, s := range append([]string{name}, others...) {
		members := make([]string, len(d.Types[s]))
		for i, f := range d.Types[s] {
			members[i] = f.Type + " " + f.Name
		}
		out += s + "(" + strings.Join(members, ",") + ")"
	}
	return out
}

// encode gives the 32 bytes that stand for a value inside a struct.
func (d refDocument) encode(typ string, v any) []byte {
	if open := strings.LastIndex(typ, "["); open > 0 {
		var all []byte
		for _, element := range v.([]any) {
			all = append(all, d.encode(typ[:open], element)...)
		}
		return crypto.Keccak256(all)
	}
	if fields, ok := d.Types[typ]; ok {
		all := crypto.Keccak256([]byte(d.encodeType(typ)))
		for _, f := range fields {
			all = append(all, d.encode(f.Type, v.(map[string]any)[f.Name])...)
		}
		return crypto.Keccak256(all)
	}
	word := make([]byte, 32)
	switch {
	case typ == "string":
		return crypto.Keccak256([]byte(v.(string)))
	case typ == "bytes":
		return crypto.Keccak256(unhex(v.(string)[2:]))
	case typ == "bool":
		if v.(bool) {
			word[31] = 1
		}
	case typ == "address":
		copy(word[12:], unhex(v.(string)[2:]))
	case strings.HasPrefix(typ, "bytes"):
		copy(word, unhex(v.(string)[2:]))
	default:
		n, ok := new(big.Int).SetString(fmt.Sprint(v), 0)
		if !ok {
			panic(fmt.Sprintf("%v is no integer", v))
		}
		if n.Sign() < 0 {
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), 256))
		}
		n.FillBytes(word)
	}
	return word
}

func (d refDocument) json() string {
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// genDocument draws a document with up to three struct types, arrays up to three dimensions, and every elementary type.
func genDocument() *rapid.Generator[refDocument] {
	return rapid.Custom(func(t *rapid.T) refDocument {
		names := []string{"Alpha", "beta", "Gamma2"}[:rapid.IntRange(1, 3).Draw(t, "structs")]
		d := refDocument{Types: map[string][]refField{"EIP712Domain": {{"name", "string"}, {"chainId", "uint256"}, {"salt", "bytes32"}}}}
		d.PrimaryType = names[0]
		for i, name := range names {
			d.Types[name] = []refField{}
			for j := range rapid.IntRange(0, 4).Draw(t, "fields") {
				choices := append([]string{"address", "bool", "string", "bytes", "uint", "int", "bytes1", "bytes32", "bytes7",
					"uint8", "uint256", "int8", "int256", "uint72"}, names[i+1:]...)
				typ := rapid.SampledFrom(choices).Draw(t, "type")
				for range rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(t, "dimensions") {
					typ += rapid.SampledFrom([]string{"[]", "[1]", "[2]"}).Draw(t, "dimension")
				}
				d.Types[name] = append(d.Types[name], refField{fmt.Sprintf("f%d", j), typ})
			}
		}
		d.Domain = d.draw(t, "EIP712Domain").(map[string]any)
		d.Message = d.draw(t, d.PrimaryType).(map[string]any)
		return d
	})
}

func (d refDocument) draw(t *rapid.T, typ string) any {
	if open := strings.LastIndex(typ, "["); open > 0 {
		n := 0
		if _, err := fmt.Sscanf(typ[open:], "[%d]", &n); err != nil {
			n = rapid.IntRange(0, 2).Draw(t, "length")
		}
		out := make([]any, n)
		for i := range out {
			out[i] = d.draw(t, typ[:open])
		}
		return out
	}
	if fields, ok := d.Types[typ]; ok {
		out := map[string]any{}
		for _, f := range fields {
			out[f.Name] = d.draw(t, f.Type)
		}
		return out
	}
	hexOf := func(low, high int) string {
		return fmt.Sprintf("0x%x", rapid.SliceOfN(rapid.Byte(), low, high).Draw(t, "bytes"))
	}
	size := 0
	switch {
	case typ == "string":
		return rapid.String().Draw(t, "string")
	case typ == "bytes":
		return hexOf(0, 40)
	case typ == "bool":
		return rapid.Bool().Draw(t, "bool")
	case typ == "address":
		return hexOf(20, 20)
	case strings.HasPrefix(typ, "bytes"):
		fmt.Sscanf(typ, "bytes%d", &size)
		return hexOf(size, size)
	}
	return drawInteger(t, typ)
}

// drawInteger draws within the type's range, in one of the spellings that are allowed.
func drawInteger(t *rapid.T, typ string) any {
	bits := 256
	fmt.Sscanf(strings.TrimPrefix(typ, "u"), "int%d", &bits)
	n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), bits/8, bits/8).Draw(t, "integer"))
	if typ[0] == 'i' {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
	}
	switch {
	case n.IsInt64() && n.Int64() < 1<<53 && n.Int64() > -1<<53 && rapid.Bool().Draw(t, "as number"):
		return n.Int64()
	case n.Sign() >= 0 && rapid.Bool().Draw(t, "as hex"):
		return fmt.Sprintf("%#x", n)
	default:
		return n.String()
	}
}
