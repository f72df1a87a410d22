package evidence

import (
	"fmt"
	"math/big"

	"github.com/countersign-mpc/countersign/derive"
)

// The families of chains that Check knows.
const (
	FamilyEVM  = "evm"
	FamilyUTXO = "utxo"
)

// AssetKind is how an asset lives on its chain.
type AssetKind string

// The kinds of assets. The empty kind is an asset that the caller does not know. AssetToken stands in movements only: it is
// ERC-20 or ERC-721, which share the method that moves it.
const (
	AssetNative  AssetKind = "native"
	AssetERC20   AssetKind = "erc20"
	AssetERC721  AssetKind = "erc721"
	AssetERC1155 AssetKind = "erc1155"
	AssetToken   AssetKind = "token"
)

// Asset is what a claim says is being moved. Contract is the token's address, empty for AssetNative. TokenID is for
// AssetERC721 and AssetERC1155, of which nothing is Verified without; the amount of the former is 1.
type Asset struct {
	Kind     AssetKind
	Contract string
	TokenID  *big.Int
}

// Claim is what a request says about its transaction. Amounts are in base units (wei, the token's smallest unit);
// converting them is the caller's. The empty string and nil mean that the field was not claimed: such a field is not
// compared, but without To, Amount, ChainID and a known Asset nothing is ever Verified.
type Claim struct {
	// Family is the family of the claimed chain: FamilyEVM, FamilyUTXO or something that Check calls unverifiable.
	Family string
	// ChainID is the chain id that the claimed chain has (EIP-155); nil if the caller does not know the chain.
	ChainID *big.Int
	Asset   Asset
	// From is compared with Signer and not at all if Signer is empty.
	From string
	// Signer is the address of the key that will sign, if the caller could derive it.
	Signer string
	// To is the recipient of the asset, for a token its receiver and not the contract.
	To        string
	Amount    *big.Int
	InputData string // calldata in hex
	GasPrice  *big.Int
	GasLimit  *big.Int
	Fee       *big.Int
	// Message is the digest that is to be signed, in hex.
	Message string
	// RawTx is the unsigned signing payload in hex, or for FamilyUTXO a PSBT in base64.
	RawTx string
	// Memo is shared with the Request that RawTx is of; nil for none.
	Memo *Memo
	// ABIs are contracts that the caller knows; their calls are shown by name. Nil is none.
	ABIs *ABIs
	// UTXO is what is claimed beyond that of a Bitcoin transaction; it is used with FamilyUTXO only.
	UTXO UTXOClaim
}

// UTXOClaim is what a request says of a Bitcoin transaction. Amounts are in satoshi.
type UTXOClaim struct {
	// Network is that of the claimed chain, empty if the caller does not know it.
	Network derive.Network
	// RequestType, InputID and TapScriptRoot are those of Request. The input is looked up among the ids of Vins.
	RequestType   string
	InputID       string
	TapScriptRoot string
	// PublicKey is the derived key that will sign (33 bytes, compressed), empty if the caller does not know it. The
	// signed input must be that key's.
	PublicKey []byte
	// FeeRate is the claimed fee in satoshi per byte: a decimal number as written.
	FeeRate string
	Vins    []VinClaim
	Vouts   []VoutClaim
	Runes   []RuneClaim
	BRC20   []BRC20Claim
}

// VinClaim is an element of extraData.vinList. A nil amount and empty strings are not claimed.
type VinClaim struct {
	ID              string
	Address         string
	Amount          *big.Int
	TransactionHash string
	VoutIndex       string
}

// VoutClaim is an element of extraData.voutList.
type VoutClaim struct {
	Address string
	Amount  *big.Int
}

// Check compares a claim with what is signed. It finds all differences, not only the first, and fails closed: the
// finding is Verified only if RawTx decodes, its digest is Message, all that it does is one transfer of the claimed asset
// and amount to the claimed recipient on the claimed chain, and every other claimed field that has a counterpart equals
// it. The transfer may be wrapped (multicall, a Safe's execTransaction): then it is the contract's own that moves, and
// Decoded.Movements says whose. GasPrice
// is compared with the gas price or the max fee per gas, Fee with the most that the transaction may pay.
//
// Without RawTx it checks what it can, the claimed calldata against recipient, asset and amount, and is Unverifiable
// at best.
func Check(c Claim) Finding {
	switch c.Family {
	case FamilyEVM:
		return checkEVM(&c)
	case FamilyUTXO:
		return checkUTXO(&c)
	default:
		var k comparison
		k.obstruct(CodeChain, fmt.Sprintf("transactions of chain family %q are not decoded", excerpt(c.Family)))
		return k.finding()
	}
}
