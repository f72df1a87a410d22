package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/wire/wellformed"
)

// CompactTxInfo returns a tx_info as a node sends it: compact and HTML-escaped as encoding/json re-serialises it, with
// keys in their order, numbers and other escapes as they are, so that the raw and the canonical form of a request agree.
// It is strict: raw must be one JSON object and nothing else, valid UTF-8, no duplicate key, no known key in another
// case, nested no deeper than it may be inside a request. Values of the wrong kind are left to the server to judge.
func CompactTxInfo(raw []byte) ([]byte, error) {
	if err := scan(raw, txInfoDepth); err != nil {
		return nil, fmt.Errorf("tx_info: %w", err)
	}
	if jsontext.Value(raw).Kind() != '{' {
		return nil, errors.New("tx_info: it must be a JSON object")
	}
	p := newParser()
	defer p.release()
	if err := p.txInfo(&TxInfo{}, raw); err != nil {
		return nil, fmt.Errorf("tx_info: %w", err)
	}
	out, err := json.Marshal(json.RawMessage(raw))
	if err != nil {
		return nil, fmt.Errorf("tx_info: %w", err)
	}
	return out, nil
}

// ReadTxInfo reads a tx_info by itself, by the rules of CompactTxInfo, as ParseCheck reads it inside a request. The
// problems are those for which a server rejects the request: with one, nothing may be built on the TxInfo.
func ReadTxInfo(raw []byte) (TxInfo, []Problem, error) {
	if _, err := CompactTxInfo(raw); err != nil {
		return TxInfo{}, nil, err
	}
	t, p := TxInfo{}, newParser()
	defer p.release()
	if err := p.txInfo(&t, raw); err != nil {
		return TxInfo{}, nil, fmt.Errorf("tx_info: %w", err)
	}
	return t, p.problems, nil
}

// SetRequester returns txInfo, compacted, with requester as its last key in place of any that it had; the zero Requester
// takes the key away. With a txInfo of no bytes the result is an object with only requester, or nil.
func SetRequester(txInfo []byte, requester Requester) ([]byte, error) {
	if !utf8.ValidString(requester.KeyID) || !utf8.ValidString(requester.Signature) {
		return nil, errors.New("set requester: a field is not valid UTF-8")
	}
	if len(txInfo) == 0 {
		if requester == (Requester{}) {
			return nil, nil
		}
		txInfo = []byte("{}")
	}
	compact, err := CompactTxInfo(txInfo)
	if err != nil {
		return nil, fmt.Errorf("set requester: %w", err)
	}
	out := []byte{'{'}
	err = wellformed.EachMember(compact, func(_, key, value []byte) error {
		if string(key) == "requester" {
			return nil
		}
		out, err = appendMember(out, string(key), json.RawMessage(value))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("set requester: %w", err)
	}
	if requester != (Requester{}) {
		if out, err = appendMember(out, "requester", requester); err != nil {
			return nil, fmt.Errorf("set requester: %w", err)
		}
	}
	return append(out, '}'), nil
}

func appendMember(object []byte, key string, value any) ([]byte, error) {
	name, err := json.Marshal(key)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(object) > 1 {
		object = append(object, ',')
	}
	object = append(object, name...)
	object = append(object, ':')
	return append(object, text...), nil
}
