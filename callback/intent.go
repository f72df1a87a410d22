package callback

import (
	"crypto/sha256"
	"fmt"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
	"github.com/countersign-mpc/countersign/wire/label"
	"github.com/countersign-mpc/countersign/wire/wellformed"
)

// intentRoom is what the labelled bytes of most requests, with rawTx behind tx_info, have room in.
const intentRoom = 3072

// IntentHash says what a request is for, whichever node asks and however often (DESIGN.md, "Approvals"; docs/FORMATS.md,
// callback): approvals are given for it, together with the digests to be signed. It covers the request type, the key and
// path, the sign type, tx_info without what differs between the inputs of one payment, rawTx, and who asked.
func IntentHash(p *wire.Parsed) (ledger.Hash, error) {
	d := &p.Check.RequestDetail
	b := label.Begin(make([]byte, 0, intentRoom), "intent")
	for _, field := range [...]string{p.Check.RequestType, d.Cryptography, d.PublicKey, d.Path, d.SignType} {
		b = label.Field(b, field)
	}
	b = label.Field(b, "")
	claim := len(b)
	b, err := paymentOf(b, d.TxInfo)
	if err != nil {
		return ledger.Hash{}, fmt.Errorf("intent of a request: %w", err)
	}
	label.Close(b, claim)
	rawTx, requester := "", ""
	if p.TxInfo != nil {
		rawTx = p.TxInfo.RawTx
		if p.TxInfo.Requester != nil {
			requester = p.TxInfo.Requester.KeyID
		}
	}
	if rawTx == "" {
		b = label.Field(b, "")
	} else {
		sum := sha256.Sum256(append(b, rawTx...)[len(b):]) // most have room behind what is there
		b = label.Field(b, sum[:])
	}
	return sha256.Sum256(label.Field(b, requester)), nil
}

// paymentOf appends tx_info without what differs between the requests for the inputs of one payment: curInputId, the
// requestId of an input in extraData.vinList, and requester, whose key id is hashed beside it and whose signature is over
// one request. tx_info.requestId stays: it names the payment. Everything else is kept byte for byte.
func paymentOf(out, txInfo []byte) ([]byte, error) {
	if wellformed.Kind(txInfo) != '{' {
		return append(out, txInfo...), nil
	}
	return editObject(out, txInfo, func(key, value []byte) ([]byte, error) {
		switch string(key) {
		case "curInputId", "requester":
			return nil, nil
		case "extraData":
			return editMember(value, "vinList", withoutRequestIDs)
		}
		return value, nil
	})
}

// editMember edits one member of value, if that is an object.
func editMember(value []byte, name string, edit func([]byte) ([]byte, error)) ([]byte, error) {
	if wellformed.Kind(value) != '{' {
		return value, nil
	}
	return editObject(make([]byte, 0, len(value)), value, func(key, member []byte) ([]byte, error) {
		if string(key) != name {
			return member, nil
		}
		return edit(member)
	})
}

// withoutRequestIDs takes requestId out of every object of a list.
func withoutRequestIDs(list []byte) ([]byte, error) {
	if wellformed.Kind(list) != '[' {
		return list, nil
	}
	out := append(make([]byte, 0, len(list)), '[')
	err := wellformed.EachElement(list, func(_ int, element []byte) error {
		element, err := editMember(element, "requestId", func([]byte) ([]byte, error) { return nil, nil })
		if err != nil {
			return err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, element...)
		return nil
	})
	return append(out, ']'), err
}

// editObject appends an object with each member's value replaced by what edit returns, or left out where that is nil. Names
// and values are copied as they stand.
func editObject(out, object []byte, edit func(key, value []byte) ([]byte, error)) ([]byte, error) {
	out = append(out, '{')
	first := len(out)
	err := wellformed.EachMember(object, func(name, key, value []byte) error {
		edited, err := edit(key, value)
		if err != nil || edited == nil {
			return err
		}
		if len(out) > first {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), edited...)
		return nil
	})
	return append(out, '}'), err
}
