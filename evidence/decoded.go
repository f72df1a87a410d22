package evidence

// Kind names what was decoded.
type Kind string

// The kinds. KindDigest and KindRaw are payloads that were signed as they came, without decoding.
const (
	KindEVMTransaction Kind = "evm-transaction"
	KindEVMCalldata    Kind = "evm-calldata" // calldata as claimed, without the transaction around it
	KindBitcoin        Kind = "bitcoin-transaction"
	KindEIP191         Kind = "eip191"
	KindEIP712         Kind = "eip712"
	KindDigest         Kind = "digest"
	KindRaw            Kind = "raw"
)

// Decoded is what was found behind a digest. Exactly the members that belong to Kind are set. Amounts and counters are
// decimal strings in base units, addresses carry their EIP-55 checksum, bytes are lower-case hex with 0x; Digest is
// lower-case hex without it, as on the wire.
type Decoded struct {
	Kind   Kind   `json:"kind"`
	Digest string `json:"digest,omitempty"`
	// Transaction: KindEVMTransaction.
	Transaction *Transaction `json:"transaction,omitempty"`
	// Bitcoin: KindBitcoin.
	Bitcoin *Bitcoin `json:"bitcoin,omitempty"`
	// Call is the decoded calldata of ERC-20's transfer, transferFrom and approve, where that is what is called.
	Call *CallFields `json:"call,omitempty"`
	// Calls are all calls that are made, the transaction's own first; Movements what they move and Approvals what power
	// over tokens they give. They are there, if only empty, for KindEVMTransaction and KindEVMCalldata, Approvals for
	// KindEIP712 as well.
	Calls     []Step     `json:"calls,omitzero"`
	Movements []Movement `json:"movements,omitzero"`
	Approvals []Approval `json:"approvals,omitzero"`
	// Complete: Movements and Approvals are all that calldata or transaction do. Of KindEVMCalldata it says nothing about
	// the coins that go along.
	Complete bool `json:"complete,omitempty"`
	// Transfer is the effective movement, set only where the whole transaction is one transfer of the caller's own, whatever
	// it is wrapped in. For KindBitcoin it
	// is what the claimed recipient gets, set only where the transaction is verified.
	Transfer *Transfer `json:"transfer,omitempty"`
	// Text is the message of KindEIP191 if it is text, Data its bytes in hex if it was given in hex.
	Text string `json:"text,omitempty"`
	Data string `json:"data,omitempty"`
	// TypedData: KindEIP712.
	TypedData *TypedData `json:"typed_data,omitempty"`
}

// Transaction is an EVM transaction for the policy's eyes. Type is the EIP-2718 type, "0" for legacy.
type Transaction struct {
	Type string `json:"type"`
	// ChainID is empty for a legacy payload without EIP-155, which every chain accepts.
	ChainID string `json:"chain_id,omitempty"`
	Nonce   string `json:"nonce"`
	// To is empty for a contract creation.
	To       string `json:"to,omitempty"`
	Value    string `json:"value"`
	Data     string `json:"data"`
	GasLimit string `json:"gas_limit"`
	// GasPrice is set for types 0 and 1, the two Max fields for the others.
	GasPrice             string `json:"gas_price,omitempty"`
	MaxFeePerGas         string `json:"max_fee_per_gas,omitempty"`
	MaxPriorityFeePerGas string `json:"max_priority_fee_per_gas,omitempty"`
	// MaxFee is the most that the transaction may pay: gas limit × (gas price or max fee per gas) and, with blobs, the
	// blob gas × its cap.
	MaxFee         string          `json:"max_fee"`
	AccessList     int             `json:"access_list_entries"`
	Blobs          int             `json:"blobs,omitempty"`
	Authorizations []Authorization `json:"authorizations,omitempty"`
}

// Authorization is an EIP-7702 delegation to code at Address; chain id "0" is valid on every chain.
type Authorization struct {
	ChainID string `json:"chain_id"`
	Address string `json:"address"`
	Nonce   string `json:"nonce"`
}

// CallFields is a decoded method call. To is the recipient of transfer and transferFrom and the spender of approve.
type CallFields struct {
	Method   string `json:"method"`
	Selector string `json:"selector"`
	// Contract is the called contract, empty where only calldata was there to decode.
	Contract string `json:"contract,omitempty"`
	// From is set for transferFrom only.
	From   string `json:"from,omitempty"`
	To     string `json:"to"`
	Amount string `json:"amount"`
}

// Transfer is one movement of one asset. Contract is empty for the native coin.
type Transfer struct {
	Asset    AssetKind `json:"asset"`
	Contract string    `json:"contract,omitempty"`
	TokenID  string    `json:"token_id,omitempty"` // AssetERC721 and AssetERC1155
	To       string    `json:"to"`
	Amount   string    `json:"amount"`
}

// TypedData is an EIP-712 message. In Message integers are decimal strings, addresses checksummed, bytes lower-case
// hex with 0x; strings, booleans, arrays and structs stand as they are.
type TypedData struct {
	PrimaryType string `json:"primary_type"`
	// EncodedType is encodeType of the primary type (EIP-712, "Definition of encodeType").
	EncodedType string         `json:"encoded_type"`
	Domain      TypedDomain    `json:"domain"`
	Message     map[string]any `json:"message"`
}

// TypedDomain is the EIP712Domain. A nil field is not part of the message's domain, so a signature does not bind it.
type TypedDomain struct {
	Name              *string `json:"name,omitempty"`
	Version           *string `json:"version,omitempty"`
	ChainID           *string `json:"chain_id,omitempty"`
	VerifyingContract *string `json:"verifying_contract,omitempty"`
	Salt              *string `json:"salt,omitempty"`
}
