package evidence

import "fmt"

// Memo keeps what a rawTx was decoded to, for all that looks at it in one request: its digest, the comparison with its
// claim, and the digests of the whole payment. The zero value is ready; nil keeps nothing. It is for one goroutine at a time.
type Memo struct {
	read  bool
	rawTx string
	tx    *EVM
	hex   error // what ParseRawTx said
	err   error // what EVMTransaction said

	psbt string // that was decoded without an error
	coin *bitcoinTx
}

// evm decodes rawTx. What it returns must not be changed.
func (m *Memo) evm(rawTx string) (tx *EVM, hex, err error) {
	if m != nil && m.read && m.rawTx == rawTx {
		return m.tx, m.hex, m.err
	}
	payload, hex := ParseRawTx(rawTx)
	if hex == nil {
		tx, err = EVMTransaction(payload)
	}
	if m != nil {
		m.read, m.rawTx, m.tx, m.hex, m.err = true, rawTx, tx, hex, err
	}
	return tx, hex, err
}

// bitcoin decodes a PSBT. What it returns must not be changed.
func (m *Memo) bitcoin(rawTx string) (*bitcoinTx, error) {
	if m != nil && m.coin != nil && m.psbt == rawTx {
		return m.coin, nil
	}
	tx, err := parseBitcoin(rawTx)
	if m != nil && err == nil {
		m.psbt, m.coin = rawTx, tx
	}
	return tx, err
}

// evmDigest is the digest of an EVM transaction.
func (r *Request) evmDigest() (*EVM, error) {
	tx, hex, err := r.Memo.evm(r.RawTx)
	switch {
	case hex != nil:
		return nil, hex
	case err != nil:
		return nil, fmt.Errorf("rawTx: %w", err)
	}
	return tx, nil
}
