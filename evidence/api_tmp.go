package evidence

import (
	"errors"
	"math/big"
)

var errLater = errors.New("not built yet: refused")

// SigningDigest computes what a node is to sign for a request, by the rules of DESIGN.md ("What is signed is computed
// by the node"). An error means that the request must not be signed.
func SigningDigest(r Request) (Payload, error) { return Payload{}, errLater }

// CheckMessage says what a sign_type 2 message (EIP-191 or EIP-712) is. A message that decodes is Verified: it is
// itself what is signed; whether it may be is the policy's question.
func CheckMessage(message string) Finding {
	return Finding{Status: Unverifiable, Code: CodeUndecodable, Reason: errLater.Error()}
}

func checkEVM(c Claim) Finding {
	return Finding{Status: Unverifiable, Code: CodeUndecodable, Reason: errLater.Error()}
}

// EVM is a decoded, unsigned EVM transaction.
type EVM struct {
	Type       uint8
	ChainID    *big.Int // nil: legacy payload without EIP-155
	Nonce      uint64
	To         *[20]byte // nil: contract creation
	Value      *big.Int
	Data       []byte
	Gas        uint64
	GasPrice   *big.Int // types 0 and 1
	GasFeeCap  *big.Int // the others: max fee per gas
	GasTipCap  *big.Int // the others: max priority fee per gas
	MaxFee     *big.Int // the most that it may pay for gas and blobs
	AccessList int
	Blobs      int
	Digest     [32]byte // Keccak-256 of the payload: what is signed
}

// EVMTransaction decodes an unsigned signing payload.
func EVMTransaction(payload []byte) (*EVM, error) { return nil, errLater }

// Call is decoded calldata.
type Call struct {
	Method string
	From   *[20]byte
	To     [20]byte
	Amount *big.Int
}

// DecodeCall decodes calldata of the ERC-20 methods transfer, transferFrom and approve.
func DecodeCall(data []byte) (*Call, error) { return nil, errLater }
