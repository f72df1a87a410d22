package evidence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
)

// checkEVM compares a claim about an EVM transaction with its payload, or with its own calldata if there is none.
func checkEVM(claim Claim) Finding {
	k := &comparison{}
	k.completeness(claim)
	k.sender(claim)
	if claim.RawTx == "" {
		k.obstruct(CodeNoRawTx, "no rawTx came with the request: the digest cannot be tied to tx_info")
		k.claimedCalldata(claim)
		return k.finding()
	}
	payload, err := ParseRawTx(claim.RawTx)
	if err == nil {
		var tx *EVM
		if tx, err = EVMTransaction(payload); err == nil {
			k.transaction(claim, tx)
			return k.finding()
		}
	}
	k.obstruct(CodeUndecodable, err.Error())
	k.claimedCalldata(claim)
	return k.finding()
}

// completeness notes what a claim must name before anything can be verified.
func (k *comparison) completeness(claim Claim) {
	if claim.ChainID == nil {
		k.obstruct(CodeChain, "the claimed chain's id is not known: add the chain to data.json")
	}
	if claim.Asset.Kind != AssetNative && claim.Asset.Kind != AssetERC20 {
		k.obstruct(CodeAsset, "the claimed asset is not known: add it to data.json")
	}
	if claim.To == "" || claim.Amount == nil {
		k.obstruct(CodeIncomplete, "tx_info must name both recipient (to) and amount")
	}
}

func (k *comparison) sender(claim Claim) {
	if claim.From != "" && claim.Signer != "" && !sameAddress(claim.From, claim.Signer) {
		k.differ("from", claim.From, claim.Signer)
	}
}

// transaction compares every field of the claim that has a counterpart in the transaction.
func (k *comparison) transaction(claim Claim, tx *EVM) {
	k.decoded = Decoded{Kind: KindEVMTransaction, Digest: hex.EncodeToString(tx.Digest[:]), Transaction: tx.fields()}
	if message, err := parseDigest(claim.Message); err != nil || message != tx.Digest {
		k.differ("message", claim.Message, k.decoded.Digest)
	}
	switch {
	case tx.ChainID == nil:
		k.differ("chainId", formatInt(claim.ChainID), "none: valid on every chain")
	case claim.ChainID != nil:
		k.number("chainId", claim.ChainID, tx.ChainID)
	}
	k.number("gasPrice", claim.GasPrice, tx.Price)
	k.number("gasLimit", claim.GasLimit, new(big.Int).SetUint64(tx.Gas))
	k.number("fee", claim.Fee, tx.MaxFee)
	if claim.InputData != "" {
		if data, err := parseCalldata(claim.InputData); err != nil || !bytes.Equal(data, tx.Data) {
			k.differ("inputdata", claim.InputData, formatBytes(tx.Data))
		}
	}
	if len(tx.Authorizations) > 0 {
		k.obstruct(CodeDelegation, "the transaction carries EIP-7702 authorizations, which hand an account to code")
	}
	if tx.Blobs > 0 || tx.Type == blobType {
		k.obstruct(CodeBlobs, "the transaction carries blobs, which tx_info cannot claim")
	}
	k.payment(claim, tx)
}

// blobType is the EIP-2718 type of EIP-4844.
const blobType = 3

// payment finds the effective movement and compares it with the claimed one.
func (k *comparison) payment(claim Claim, tx *EVM) {
	switch {
	case tx.To == nil:
		k.obstruct(CodeCreation, "the transaction creates a contract")
		if claim.To != "" {
			k.differ("to", claim.To, "none: contract creation")
		}
		k.number("amount", nativeAmount(claim), tx.Value)
	case len(tx.Data) == 0:
		moved := Transfer{Asset: AssetNative, To: formatAddress(tx.To), Amount: tx.Value.String()}
		k.decoded.Transfer = &moved
		k.compareTransfer(claim, moved)
	default:
		k.call(claim, tx)
	}
}

// call compares a transaction with calldata.
func (k *comparison) call(claim Claim, tx *EVM) {
	call, err := DecodeCall(tx.Data)
	if err != nil {
		k.undecodedCall(err)
		k.declaredCall(claim, tx)
		return
	}
	k.decoded.Call = call.fields(tx.Data, tx.To)
	moved := Transfer{
		Asset: AssetERC20, Contract: formatAddress(tx.To), To: formatAddress(&call.To), Amount: call.Amount.String(),
	}
	if call.Method == MethodTransfer && tx.Value.Sign() == 0 {
		k.decoded.Transfer = &moved
	}
	k.plainTransfer(claim, call)
	if call.Method == MethodApprove && claim.Asset.Kind != AssetERC20 {
		k.declaredCall(claim, tx)
		return
	}
	k.compareTransfer(claim, moved)
	if tx.Value.Sign() != 0 && claim.Asset.Kind == AssetERC20 {
		k.differ("value", "0", tx.Value.String())
	}
}

// plainTransfer notes a method that is no transfer: for a claim about a token, which says that there is one, a
// contradiction.
func (k *comparison) plainTransfer(claim Claim, call *Call) {
	if call.Method == MethodTransfer {
		return
	}
	k.obstruct(CodeNotTransfer, "the calldata calls "+call.Method+", which is no plain transfer")
	if claim.Asset.Kind == AssetERC20 {
		k.differ("method", MethodTransfer, call.Method)
	}
}

func (k *comparison) undecodedCall(err error) {
	if errors.Is(err, ErrUnknownMethod) {
		k.obstruct(CodeUnknownCall, err.Error())
		return
	}
	k.obstruct(CodeUndecodable, err.Error())
}

// declaredCall compares a call that is no transfer with a claim about the native coin: the contract is the recipient,
// the transaction's value the amount, and the calldata must have been declared, since a claim without calldata says
// that there is none. A claim about a token has no counterpart in such a call.
func (k *comparison) declaredCall(claim Claim, tx *EVM) {
	if claim.Asset.Kind != AssetNative {
		return
	}
	if claim.To != "" && !sameAddress(claim.To, formatAddress(tx.To)) {
		k.differ("to", claim.To, formatAddress(tx.To))
	}
	k.number("amount", claim.Amount, tx.Value)
	if claim.InputData == "" {
		k.differ("inputdata", "", formatBytes(tx.Data))
	}
}

// compareTransfer compares the movement that the transaction makes with the claimed one.
func (k *comparison) compareTransfer(claim Claim, moved Transfer) {
	known := claim.Asset.Kind == AssetNative || claim.Asset.Kind == AssetERC20
	same := claim.Asset.Kind == moved.Asset &&
		(moved.Asset == AssetNative || sameAddress(claim.Asset.Contract, moved.Contract))
	if known && !same {
		k.differ("assetId", formatAsset(claim.Asset), formatAsset(Asset{moved.Asset, moved.Contract}))
	}
	if claim.To != "" && !sameAddress(claim.To, moved.To) {
		k.differ("to", claim.To, moved.To)
	}
	if claim.Amount != nil && claim.Amount.String() != moved.Amount {
		k.differ("amount", claim.Amount.String(), moved.Amount)
	}
}

// claimedCalldata checks a claim against its own calldata, all that there is without a transaction.
func (k *comparison) claimedCalldata(claim Claim) {
	if claim.InputData == "" {
		return
	}
	data, err := parseCalldata(claim.InputData)
	if err != nil {
		k.obstruct(CodeUndecodable, err.Error())
		return
	}
	if len(data) == 0 {
		return
	}
	call, err := DecodeCall(data)
	if err != nil {
		k.undecodedCall(err)
		return
	}
	k.decoded = Decoded{Kind: KindEVMCalldata, Call: call.fields(data, nil)}
	k.plainTransfer(claim, call)
	switch claim.Asset.Kind {
	case AssetERC20:
		if claim.To != "" && !sameAddress(claim.To, formatAddress(&call.To)) {
			k.differ("to", claim.To, formatAddress(&call.To))
		}
		k.number("amount", claim.Amount, call.Amount)
	case AssetNative:
		if call.Method != MethodApprove {
			k.differ("assetId", formatAsset(claim.Asset), "a token, by "+call.Method)
		}
	}
}

// number compares a claimed number, nil being no claim.
func (k *comparison) number(field string, claimed, signed *big.Int) {
	if claimed != nil && claimed.Cmp(signed) != 0 {
		k.differ(field, claimed.String(), signed.String())
	}
}

func nativeAmount(claim Claim) *big.Int {
	if claim.Asset.Kind == AssetNative {
		return claim.Amount
	}
	return nil
}

// sameAddress compares two addresses; one that is malformed or has a wrong checksum equals nothing.
func sameAddress(a, b string) bool {
	x, errX := derive.ParseEVMAddress(a)
	y, errY := derive.ParseEVMAddress(b)
	return errX == nil && errY == nil && x == y
}

func parseDigest(s string) (digest [32]byte, err error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil || len(raw) != len(digest) {
		return digest, errors.New("message must be a digest of 32 bytes in hex")
	}
	return [32]byte(raw), nil
}

func parseCalldata(s string) ([]byte, error) {
	data, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		return nil, fmt.Errorf("inputdata is not hex: %v", err)
	}
	return data, nil
}

func formatAsset(a Asset) string {
	if a.Kind == AssetERC20 {
		return "erc20 " + a.Contract
	}
	return string(a.Kind)
}

func formatInt(n *big.Int) string {
	if n == nil {
		return ""
	}
	return n.String()
}
