package evidence_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
)

// TestAccountsJSON: accounts are written as encoding/json writes them, whatever their fields hold. A field that JSON does not
// write is found here.
func TestAccountsJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var d evidence.Decoded
		arbitrary(t, r, reflect.ValueOf(&d).Elem())
		got, err := d.JSON()
		want, wantErr := json.Marshal(d)
		if (err == nil) != (wantErr == nil) || (err == nil && !bytes.Equal(got, want)) {
			t.Fatalf("written %s, %v\nencoding/json writes %s, %v", got, err, want, wantErr)
		}
	}
	for name, c := range callCases() {
		d := evidence.Check(c.claim(t)).Decoded
		if got, want := mustT(d.JSON())(t), mustT(json.Marshal(d))(t); !bytes.Equal(got, want) {
			t.Errorf("%s: written %s\nencoding/json writes %s", name, got, want)
		}
	}
	for c := range 256 {
		d := evidence.Decoded{Kind: evidence.Kind("a" + string([]byte{byte(c)})), Text: string([]byte{byte(c)}) + "z"}
		if got, want := mustT(d.JSON())(t), mustT(json.Marshal(d))(t); !bytes.Equal(got, want) {
			t.Errorf("byte %d: written %s\nencoding/json writes %s", c, got, want)
		}
	}
	if _, err := (&evidence.Decoded{Calls: []evidence.Step{{Args: map[string]any{"f": func() {}}}}}).JSON(); err == nil {
		t.Error("what cannot be written is no error")
	}
}

var texts = []string{"", "", "a", "0x12", `quo"ted \ <a href="x">&`, "Zürich \u2028", "\x00\n\x7f", "\xff\xfe", "{", "["}

// arbitrary fills a value; half of what may be left out is.
func arbitrary(t *testing.T, r *rand.Rand, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(4) - 1))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.IntN(3)))
	case reflect.Pointer:
		if v.Type() == reflect.TypeFor[*big.Int]() {
			v.Set(reflect.ValueOf(big.NewInt(r.Int64())))
		} else if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			arbitrary(t, r, v.Elem())
		}
	case reflect.Slice:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				arbitrary(t, r, v.Index(i))
			}
		}
	case reflect.Map:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				value := reflect.New(v.Type().Elem()).Elem()
				arbitrary(t, r, value)
				v.SetMapIndex(reflect.ValueOf(texts[r.IntN(len(texts))]), value)
			}
		}
	case reflect.Interface:
		choices := []any{nil, true, "text", `"`, 1.5, []any{"a", nil}, map[string]any{"b<": "c"}}
		if c := choices[r.IntN(len(choices))]; c != nil {
			v.Set(reflect.ValueOf(c))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				arbitrary(t, r, v.Field(i))
			}
		}
	default:
		t.Fatalf("a %s is not filled", v.Type())
	}
}
