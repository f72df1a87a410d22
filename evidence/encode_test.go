package evidence_test

import (
	"encoding/hex"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/accounts/abi"
)

// encoded writes calls as calldata again, with go-ethereum: methods are those that are known, and more.
func encoded(t testing.TB, more map[string]abi.Method, calls []evidence.Step) []byte {
	t.Helper()
	methods := maps.Clone(known(t))
	maps.Copy(methods, more)
	e := encoder{t, methods, calls}
	data := e.next()
	if len(e.rest) > 0 {
		t.Fatalf("%d calls are left over", len(e.rest))
	}
	return data
}

type encoder struct {
	t       testing.TB
	methods map[string]abi.Method
	rest    []evidence.Step
}

// next takes the next call and those that it wraps.
func (e *encoder) next() []byte {
	s := e.rest[0]
	e.rest = e.rest[1:]
	if s.Data != "" {
		return unhex(s.Data[2:])
	}
	if s.Selector == "" {
		return nil
	}
	m, ok := e.methods[s.Method]
	if !ok {
		e.t.Fatalf("call %+v has no method", s)
	}
	args := map[string]any{}
	for name, v := range s.Args {
		args[name] = v
	}
	for _, in := range m.Inputs {
		if _, ok := args[in.Name]; !ok {
			args[in.Name] = e.wrapped(s, in)
		}
	}
	for len(e.rest) > 0 && e.rest[0].Depth > s.Depth { // calls that stand in an argument that is there
		e.rest = e.rest[1:]
	}
	values := make([]any, len(m.Inputs))
	for i, in := range m.Inputs {
		values[i] = value(e.t, in.Type, args[in.Name]).Interface()
	}
	return slices.Concat(m.ID, mustT(m.Inputs.Pack(values...))(e.t))
}

// wrapped makes the argument that is left out: the calls that follow one level deeper.
func (e *encoder) wrapped(s evidence.Step, in abi.Argument) any {
	var list []any
	var joined []packedCall
	for len(e.rest) > 0 && e.rest[0].Depth == s.Depth+1 {
		inner := e.rest[0]
		data := e.next()
		list = append(list, "0x"+hex.EncodeToString(data))
		c := packedCall{value: new(big.Int), data: data}
		if inner.Contract != "" {
			c.to = *address(inner.Contract)
		}
		if inner.Delegate {
			c.operation = 1
		}
		c.value.SetString(inner.Value, 10)
		joined = append(joined, c)
	}
	switch {
	case in.Name == "transactions":
		return "0x" + hex.EncodeToString(packedCalls(joined...))
	case in.Type.T == abi.SliceTy:
		return list
	case len(list) != 1:
		e.t.Fatalf("%s has %d calls in it", s.Method, len(list))
	}
	return list[0]
}

// value turns what Step.Args says of a value into what go-ethereum packs.
func value(t testing.TB, typ abi.Type, described any) reflect.Value {
	t.Helper()
	out := reflect.New(typ.GetType()).Elem()
	switch typ.T {
	case abi.SliceTy, abi.ArrayTy:
		list := described.([]any)
		if typ.T == abi.SliceTy {
			out = reflect.MakeSlice(typ.GetType(), len(list), len(list))
		}
		for i, v := range list {
			out.Index(i).Set(value(t, *typ.Elem, v))
		}
	case abi.TupleTy:
		for i, e := range typ.TupleElems {
			out.Field(i).Set(value(t, *e, described.(map[string]any)[typ.TupleRawNames[i]]))
		}
	case abi.AddressTy:
		out.Set(reflect.ValueOf(*address(described.(string))))
	case abi.BytesTy:
		out.SetBytes(unhex(described.(string)[2:]))
	case abi.FixedBytesTy, abi.FunctionTy:
		reflect.Copy(out, reflect.ValueOf(unhex(described.(string)[2:])))
	case abi.UintTy, abi.IntTy:
		number, ok := new(big.Int).SetString(described.(string), 10)
		if !ok {
			t.Fatalf("%v is no number", described)
		}
		setNumber(out, number)
	default:
		out.Set(reflect.ValueOf(described))
	}
	return out
}

// setNumber sets a value of the Go type that go-ethereum has for an integer type.
func setNumber(out reflect.Value, number *big.Int) {
	switch {
	case out.CanUint():
		out.SetUint(number.Uint64())
	case out.CanInt():
		out.SetInt(number.Int64())
	default:
		out.Set(reflect.ValueOf(number))
	}
}
