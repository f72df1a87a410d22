package callback

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// IntentHash says what a request is for, whichever node asks and however often (DESIGN.md, "Approvals"; docs/FORMATS.md,
// callback): approvals are given for it, together with the digests to be signed. It covers the request type, the key and
// path, the sign type, tx_info without what differs between the inputs of one payment, rawTx, and who asked.
func IntentHash(p *wire.Parsed) (ledger.Hash, error) {
	d := &p.Check.RequestDetail
	claim, err := paymentOf(d.TxInfo)
	if err != nil {
		return ledger.Hash{}, fmt.Errorf("intent of a request: %w", err)
	}
	var rawTx []byte
	requester := ""
	if p.TxInfo != nil {
		if p.TxInfo.RawTx != "" {
			sum := sha256.Sum256([]byte(p.TxInfo.RawTx))
			rawTx = sum[:]
		}
		if p.TxInfo.Requester != nil {
			requester = p.TxInfo.Requester.KeyID
		}
	}
	return sha256.Sum256(wire.SigningBytes("intent", []byte(p.Check.RequestType), []byte(d.Cryptography), []byte(d.PublicKey),
		[]byte(d.Path), []byte(d.SignType), claim, rawTx, []byte(requester))), nil
}

// paymentOf returns tx_info without what differs between the requests for the inputs of one payment: curInputId, the
// requestId of an input in extraData.vinList, and requester, whose key id is hashed beside it and whose signature is over
// one request. tx_info.requestId stays: it names the payment. Everything else is kept byte for byte.
func paymentOf(txInfo []byte) ([]byte, error) {
	if len(txInfo) == 0 || jsontext.Value(txInfo).Kind() != '{' {
		return txInfo, nil
	}
	return editObject(txInfo, func(key string, value jsontext.Value) (jsontext.Value, error) {
		switch key {
		case "curInputId", "requester":
			return nil, nil
		case "extraData":
			return editMember(value, "vinList", withoutRequestIDs)
		}
		return value, nil
	})
}

// editMember edits one member of value, if that is an object.
func editMember(value jsontext.Value, name string, edit func(jsontext.Value) (jsontext.Value, error)) (jsontext.Value, error) {
	if value.Kind() != '{' {
		return value, nil
	}
	return editObject(value, func(key string, member jsontext.Value) (jsontext.Value, error) {
		if key != name {
			return member, nil
		}
		return edit(member)
	})
}

// withoutRequestIDs takes requestId out of every object of a list.
func withoutRequestIDs(list jsontext.Value) (jsontext.Value, error) {
	if list.Kind() != '[' {
		return list, nil
	}
	dec := newDecoder(list)
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNotJSON
	}
	out := []byte{'['}
	for dec.PeekKind() != ']' {
		element, err := dec.ReadValue()
		if err != nil {
			return nil, errNotJSON
		}
		element, err = editMember(element.Clone(), "requestId", func(jsontext.Value) (jsontext.Value, error) { return nil, nil })
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, element...)
	}
	return append(out, ']'), nil
}

var errNotJSON = errors.New("tx_info is not well formed")

// editObject writes an object again with each member's value replaced by what edit returns, or left out where that is
// nil. Names and values are copied as they stand.
func editObject(object jsontext.Value, edit func(key string, value jsontext.Value) (jsontext.Value, error)) (jsontext.Value, error) {
	dec := newDecoder(object)
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNotJSON
	}
	out := []byte{'{'}
	for dec.PeekKind() != '}' {
		rawName, err := dec.ReadValue()
		if err != nil {
			return nil, errNotJSON
		}
		name := rawName.Clone()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errNotJSON
		}
		key, err := jsontext.AppendUnquote(nil, name)
		if err != nil {
			return nil, errNotJSON
		}
		edited, err := edit(string(key), value.Clone())
		if err != nil {
			return nil, err
		}
		if edited == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), edited...)
	}
	return append(out, '}'), nil
}

func newDecoder(value jsontext.Value) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewReader(value))
}
