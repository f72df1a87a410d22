package evidence

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on typed data. They keep hashing cheap (each struct value hashes its type's text again) and are far above what
// wallets are asked to sign.
const (
	maxTypedData    = 64 << 10 // bytes of JSON
	maxTypes        = 24
	maxTypeFields   = 128 // in all types together
	maxNameLength   = 64
	maxDimensions   = 4
	maxDepth        = 16  // structs and arrays inside one another
	maxStructValues = 512 // in the message
)

const domainType = "EIP712Domain"

// typedDocument is the JSON form that eth_signTypedData_v4 takes.
type typedDocument struct {
	Types       map[string][]typedField `json:"types"`
	PrimaryType string                  `json:"primaryType"`
	Domain      jsontext.Value          `json:"domain"`
	Message     jsontext.Value          `json:"message"`
}

type typedField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// decodeTypedData reads EIP-712 typed data and computes its digest. go-ethereum's encoder is lenient about what it is
// given, so everything is checked here first: strict JSON (no duplicate or unknown keys, valid UTF-8), types that are
// well formed and defined, and values that fit their types exactly, with no field missing or over. What reaches the
// encoder can be encoded in one way only.
func decodeTypedData(message string) (Decoded, [32]byte, error) {
	fail := func(err error) (Decoded, [32]byte, error) {
		return Decoded{}, [32]byte{}, fmt.Errorf("message is no valid EIP-712 typed data: %w", err)
	}
	if len(message) > maxTypedData {
		return fail(fmt.Errorf("%d bytes: at most %d are allowed", len(message), maxTypedData))
	}
	var doc typedDocument
	if err := json.Unmarshal([]byte(message), &doc, json.RejectUnknownMembers(true)); err != nil {
		return fail(fmt.Errorf("it must be one strict JSON object of types, primaryType, domain and message: %s", excerpt(err.Error())))
	}
	schema, err := newTypedSchema(doc)
	if err != nil {
		return fail(err)
	}
	reader := typedReader{schema: schema}
	domain, err := reader.structValue(domainType, doc.Domain, 1)
	if err != nil {
		return fail(fmt.Errorf("domain%w", err))
	}
	body, err := reader.structValue(doc.PrimaryType, doc.Message, 1)
	if err != nil {
		return fail(fmt.Errorf("message%w", err))
	}
	digest, encodedType, err := hashTypedData(doc, domain, body)
	if err != nil {
		return fail(err)
	}
	data := &TypedData{PrimaryType: doc.PrimaryType, EncodedType: encodedType, Domain: newTypedDomain(domain), Message: body}
	decoded := Decoded{Kind: KindEIP712, TypedData: data, Approvals: typedApprovals(data)}
	if e := safeTransaction(data); e != nil {
		decoded.Calls, decoded.Movements, decoded.Approvals = orEmpty(e.steps), orEmpty(e.movements), orEmpty(e.approvals)
		decoded.Complete = !e.open
	}
	return decoded, digest, nil
}

// hashTypedData is Keccak-256 of 0x19 0x01, domainSeparator, hashStruct(message) (EIP-712, "Specification").
func hashTypedData(doc typedDocument, domain, body map[string]any) (digest [32]byte, encodedType string, err error) {
	reference := apitypes.TypedData{Types: apitypes.Types{}, PrimaryType: doc.PrimaryType}
	for name, fields := range doc.Types {
		reference.Types[name] = make([]apitypes.Type, len(fields))
		for i, f := range fields {
			reference.Types[name][i] = apitypes.Type(f)
		}
	}
	// The encoder refuses a document whose own Domain is empty; the domain that it hashes is the argument below.
	reference.Domain.Name = domainType
	separator, err := reference.HashStruct(domainType, domain)
	if err != nil {
		return digest, "", fmt.Errorf("domain: %v", err)
	}
	hash, err := reference.HashStruct(doc.PrimaryType, body)
	if err != nil {
		return digest, "", fmt.Errorf("message: %v", err)
	}
	return crypto.Keccak256Hash([]byte{0x19, 0x01}, separator, hash), string(reference.EncodeType(doc.PrimaryType)), nil
}

func newTypedDomain(values map[string]any) TypedDomain {
	get := func(name string) *string {
		s, ok := values[name].(string)
		if !ok {
			return nil
		}
		return &s
	}
	return TypedDomain{
		Name: get("name"), Version: get("version"), ChainID: get("chainId"),
		VerifyingContract: get("verifyingContract"), Salt: get("salt"),
	}
}

// typedReader turns JSON values into the one form that the encoder takes in one way only: decimal strings for integers,
// checksummed addresses, lower-case hex for bytes.
type typedReader struct {
	schema  typedSchema
	structs int // struct values read so far
}

// structValue reads an object of a struct type. Errors start with the path below the value, as in ".to.wallet: ...".
func (r *typedReader) structValue(name string, value jsontext.Value, depth int) (map[string]any, error) {
	if r.structs++; r.structs > maxStructValues {
		return nil, fmt.Errorf(": more than %d structs", maxStructValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf(": more than %d levels", maxDepth)
	}
	if value.Kind() != '{' {
		return nil, fmt.Errorf(": an object of type %s is wanted", name)
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(value, &members); err != nil {
		return nil, fmt.Errorf(": %s", excerpt(err.Error()))
	}
	fields := r.schema[name]
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		member, ok := members[f.name]
		if !ok {
			return nil, fmt.Errorf(".%s: missing", f.name)
		}
		v, err := r.value(f.typ, member, depth+1)
		if err != nil {
			return nil, fmt.Errorf(".%s%w", f.name, err)
		}
		out[f.name] = v
	}
	for _, member := range slices.Sorted(maps.Keys(members)) {
		if _, ok := out[member]; !ok {
			return nil, fmt.Errorf(": member %q is not a field of type %s", excerpt(member), name)
		}
	}
	return out, nil
}

func (r *typedReader) value(t typedType, value jsontext.Value, depth int) (any, error) {
	if len(t.dimensions) > 0 {
		return r.array(t, value, depth)
	}
	if t.primitive == nil {
		return r.structValue(t.base, value, depth)
	}
	v, err := t.primitive(value)
	if err != nil {
		return nil, fmt.Errorf(": %s: %w", t.base, err)
	}
	return v, nil
}

// array reads the last dimension of its type, which is the outermost array.
func (r *typedReader) array(t typedType, value jsontext.Value, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf(": more than %d levels", maxDepth)
	}
	if value.Kind() != '[' {
		return nil, errors.New(": an array is wanted")
	}
	var elements []jsontext.Value
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, fmt.Errorf(": %s", excerpt(err.Error()))
	}
	last := len(t.dimensions) - 1
	if want := t.dimensions[last]; want != dynamic && want != len(elements) {
		return nil, fmt.Errorf(": array of %d elements, its type has %d", len(elements), want)
	}
	inner := t
	inner.dimensions = t.dimensions[:last]
	out := make([]any, len(elements))
	for i, element := range elements {
		v, err := r.value(inner, element, depth+1)
		if err != nil {
			return nil, fmt.Errorf("[%d]%w", i, err)
		}
		out[i] = v
	}
	return out, nil
}
