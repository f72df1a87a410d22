package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// maxChainID is the largest chain id that fits every use of it (EIP-2294).
const maxChainID = math.MaxUint64/2 - 36

// Element counts of a legacy payload: without chain id (Yellow Paper) and with it (EIP-155: chain id, 0, 0).
const (
	legacyElements    = 6
	protectedElements = 9
)

// EVM is a decoded, unsigned EVM transaction.
type EVM struct {
	Type    uint8    // EIP-2718 type; 0 is legacy
	ChainID *big.Int // nil for a legacy payload without EIP-155: its signature is good on every chain
	Nonce   uint64
	To      *[20]byte // nil for a contract creation
	Value   *big.Int  // wei
	Data    []byte
	Gas     uint64   // gas limit
	Price   *big.Int // wei: the gas price of types 0 and 1, the max fee per gas of the others
	TipCap  *big.Int // wei: max priority fee per gas; nil for types 0 and 1
	MaxFee  *big.Int // wei: the most that gas and blobs may cost
	// AccessList and Blobs count entries; neither changes who receives what.
	AccessList     int
	Blobs          int
	Authorizations []Authorization // EIP-7702
	// Digest is what is signed: Keccak-256 of the payload.
	Digest [32]byte
}

// ParseRawTx reads tx_info.rawTx of an EVM chain: an even number of hex digits of either case, with or without 0x, for
// at most MaxRawTx bytes.
func ParseRawTx(s string) ([]byte, error) {
	digits := strings.TrimPrefix(s, "0x")
	if strings.HasPrefix(digits, "cHNidP") {
		return nil, errors.New("rawTx is a PSBT: an EVM chain's rawTx is the hex signing payload")
	}
	if len(digits) > 2*MaxRawTx {
		return nil, fmt.Errorf("rawTx has %d hex digits: at most %d bytes are allowed", len(digits), MaxRawTx)
	}
	if len(digits) == 0 {
		return nil, errors.New("rawTx is empty: send the unsigned signing payload in hex")
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("rawTx is not the hex signing payload of an EVM transaction: %v", err)
	}
	return raw, nil
}

// EVMTransaction decodes an unsigned signing payload: the type byte and RLP list of EIP-2930, EIP-1559, EIP-4844 or
// EIP-7702, or the RLP list of a legacy transaction with EIP-155's (chain id, 0, 0) or, then with ChainID nil, without.
//
// It is strict: canonical RLP, nothing after the list, no signature, a chain id of 1 to 2^63-37 (EIP-2294), numbers of
// 256 bits at most. go-ethereum decodes the payload and hashes what it decoded; if that hash is not the payload's, the
// two do not mean the same transaction and it is an error. So encoding the result again gives the payload, also where it is so
// plain that it is read without (plainEVM). Data may be part of the payload, which must not be changed then.
func EVMTransaction(payload []byte) (*EVM, error) {
	if len(payload) > MaxRawTx {
		return nil, fmt.Errorf("transaction of %d bytes: at most %d are allowed", len(payload), MaxRawTx)
	}
	if len(payload) == 0 {
		return nil, errors.New("transaction is empty")
	}
	if tx := plainEVM(payload); tx != nil {
		return tx, nil
	}
	return evmByGeth(payload)
}

// evmByGeth is EVMTransaction for every payload that is not empty.
func evmByGeth(payload []byte) (*EVM, error) {
	var tx *types.Transaction
	var chainID *big.Int
	var err error
	if payload[0] >= 0xc0 {
		tx, chainID, err = decodeLegacy(payload)
	} else {
		tx, chainID, err = decodeTyped(payload)
	}
	if err != nil {
		return nil, err
	}
	if err := checkRanges(tx, chainID); err != nil {
		return nil, err
	}
	digest := crypto.Keccak256Hash(payload)
	if types.LatestSignerForChainID(chainID).Hash(tx) != digest {
		return nil, errors.New("transaction does not encode to the payload again: send the canonical unsigned payload")
	}
	return newEVM(tx, chainID, digest), nil
}

// decodeTyped gives go-ethereum the payload with an empty signature added, which makes it the form that its decoder
// reads.
func decodeTyped(payload []byte) (*types.Transaction, *big.Int, error) {
	kind := payload[0]
	if kind < types.AccessListTxType || kind > types.SetCodeTxType {
		return nil, nil, fmt.Errorf("transaction of type 0x%02x: types 0x01 to 0x04 and legacy payloads are known", kind)
	}
	content, err := listContent(payload[1:])
	if err != nil {
		return nil, nil, err
	}
	tx, err := decodeWithSignature([]byte{kind}, content)
	if err != nil {
		return nil, nil, err
	}
	return tx, tx.ChainId(), nil
}

// decodeLegacy reads the two legacy payloads. EIP-155's is, element by element, a transaction with v = chain id and
// r = s = 0.
func decodeLegacy(payload []byte) (*types.Transaction, *big.Int, error) {
	content, err := listContent(payload)
	if err != nil {
		return nil, nil, err
	}
	elements, err := rlp.CountValues(content)
	if err != nil {
		return nil, nil, fmt.Errorf("transaction is no RLP: %v", err)
	}
	switch elements {
	case legacyElements:
		tx, err := decodeWithSignature(nil, content)
		return tx, nil, err
	case protectedElements:
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(payload); err != nil {
			return nil, nil, fmt.Errorf("transaction does not decode: %v", err)
		}
		chainID, r, s := tx.RawSignatureValues()
		if r.Sign() != 0 || s.Sign() != 0 {
			return nil, nil, errors.New("transaction is signed already: send the unsigned payload (chain id, 0, 0)")
		}
		return tx, chainID, nil
	default:
		return nil, nil, fmt.Errorf("legacy transaction of %d elements: a payload has %d with a chain id and %d without",
			elements, protectedElements, legacyElements)
	}
}

func listContent(encoded []byte) ([]byte, error) {
	content, rest, err := rlp.SplitList(encoded)
	if err != nil {
		return nil, fmt.Errorf("transaction is no RLP list: %v", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("transaction is followed by %d bytes: send the payload alone", len(rest))
	}
	return content, nil
}

func decodeWithSignature(prefix, content []byte) (*types.Transaction, error) {
	const zero = 0x80 // RLP of the integer 0
	list, err := rlp.EncodeToBytes([]rlp.RawValue{content, {zero}, {zero}, {zero}})
	if err != nil {
		return nil, fmt.Errorf("transaction does not decode: %v", err)
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(append(prefix, list...)); err != nil {
		return nil, fmt.Errorf("transaction does not decode as an unsigned payload: %v", err)
	}
	return tx, nil
}

// checkRanges refuses numbers that no chain accepts.
func checkRanges(tx *types.Transaction, chainID *big.Int) error {
	if chainID != nil && (chainID.Sign() <= 0 || !chainID.IsUint64() || chainID.Uint64() > maxChainID) {
		return fmt.Errorf("transaction has no usable chain id: it must be between 1 and %d", uint64(maxChainID))
	}
	for _, n := range []*big.Int{tx.Value(), tx.GasFeeCap(), tx.GasTipCap()} {
		if n.BitLen() > 256 {
			return fmt.Errorf("transaction has a value or gas price of %d bits: at most 256 are possible", n.BitLen())
		}
	}
	return nil
}

func newEVM(tx *types.Transaction, chainID *big.Int, digest [32]byte) *EVM {
	value, cost := tx.Value(), tx.Cost()
	e := &EVM{
		Type: tx.Type(), ChainID: chainID, Nonce: tx.Nonce(), To: (*[20]byte)(tx.To()), Value: value,
		Data: tx.Data(), Gas: tx.Gas(), Price: tx.GasFeeCap(), MaxFee: cost.Sub(cost, value),
		AccessList: len(tx.AccessList()), Blobs: len(tx.BlobHashes()), Digest: digest,
	}
	if e.Type >= types.DynamicFeeTxType {
		e.TipCap = tx.GasTipCap()
	}
	for _, a := range tx.SetCodeAuthorizations() {
		e.Authorizations = append(e.Authorizations, Authorization{
			ChainID: a.ChainID.Dec(), Address: derive.FormatEVMAddress(a.Address), Nonce: strconv.FormatUint(a.Nonce, 10),
		})
	}
	return e
}

// describe writes the transaction as a policy reads it. data is what is claimed of its calldata.
func (e *EVM) describe(t *Transaction, data string) {
	*t = Transaction{
		Type: strconv.Itoa(int(e.Type)), Nonce: strconv.FormatUint(e.Nonce, 10), To: formatAddress(e.To),
		Value: formatInt(e.Value), Data: bytesAs(data, e.Data), GasLimit: strconv.FormatUint(e.Gas, 10),
		MaxFee: formatInt(e.MaxFee), AccessList: e.AccessList, Blobs: e.Blobs, Authorizations: e.Authorizations,
	}
	if e.ChainID != nil {
		t.ChainID = formatInt(e.ChainID)
	}
	if e.Type >= types.DynamicFeeTxType {
		t.MaxFeePerGas, t.MaxPriorityFeePerGas = formatInt(e.Price), formatInt(e.TipCap)
	} else {
		t.GasPrice = formatInt(e.Price)
	}
}

func formatAddress(a *[20]byte) string {
	if a == nil {
		return ""
	}
	return derive.FormatEVMAddress(*a)
}

func formatBytes(b []byte) string { return bytesAs("", b) }

// bytesAs is formatBytes, for which what is claimed is taken where it is the same text: most is claimed as it is written here.
func bytesAs(claimed string, b []byte) string {
	text := hex.AppendEncode(append(make([]byte, 0, 512), "0x"...), b) // most have room on the stack
	if claimed == string(text) {
		return claimed
	}
	return string(text)
}

// formatDigest writes a digest as it stands on the wire.
func formatDigest(digest [32]byte) string { return hex.EncodeToString(digest[:]) }

// digestAs is formatDigest, for which what is claimed is taken where it is the same text.
func digestAs(claimed string, digest *[32]byte) string {
	if isWritten(claimed, digest) {
		return claimed
	}
	return formatDigest(*digest)
}

// isWritten says whether text is a digest as formatDigest writes it.
func isWritten(text string, digest *[32]byte) bool {
	return text == string(hex.AppendEncode(make([]byte, 0, 2*len(digest)), digest[:])) // compared on the stack
}
