package evidence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
)

// evmCheck is a comparison with an EVM transaction. What its account points to is beside it, in one piece of memory.
type evmCheck struct {
	comparison
	tracer      tracer
	transaction Transaction
	call        CallFields
	transfer    Transfer
}

// checkEVM compares a claim about an EVM transaction with its payload, or with its own calldata if there is none.
func checkEVM(claim *Claim) Finding {
	k := &evmCheck{}
	k.completeness(claim)
	k.sender(claim)
	if claim.RawTx == "" {
		k.obstruct(CodeNoRawTx, "no rawTx came with the request: the digest cannot be tied to tx_info")
		k.claimedCalldata(claim)
		return k.finding()
	}
	tx, hex, err := claim.Memo.evm(claim.RawTx)
	if hex == nil && err == nil {
		k.compare(claim, tx)
		return k.finding()
	}
	if hex != nil {
		err = hex
	}
	k.obstruct(CodeUndecodable, err.Error())
	k.claimedCalldata(claim)
	return k.finding()
}

// completeness notes what a claim must name before anything can be verified.
func (k *evmCheck) completeness(claim *Claim) {
	if claim.ChainID == nil {
		k.obstruct(CodeChain, "the claimed chain's id is not known: add the chain to data.json")
	}
	if !claim.Asset.known() {
		k.obstruct(CodeAsset, "the claimed asset is not known: add it to data.json")
	}
	if claim.Asset.hasID() && claim.Asset.TokenID == nil {
		k.obstruct(CodeIncomplete, "which token it is has to be claimed: assets of kind "+string(claim.Asset.Kind)+" have ids")
	}
	if claim.To == "" || claim.Amount == nil {
		k.obstruct(CodeIncomplete, "tx_info must name both recipient (to) and amount")
	}
}

func (k *evmCheck) sender(claim *Claim) {
	if claim.From != "" && claim.Signer != "" && !sameAddress(claim.From, claim.Signer) {
		k.differ("from", claim.From, claim.Signer)
	}
}

// compare compares every field of the claim that has a counterpart in the transaction.
func (k *evmCheck) compare(claim *Claim, tx *EVM) {
	tx.describe(&k.transaction, claim.InputData)
	k.decoded = Decoded{Kind: KindEVMTransaction, Digest: digestAs(claim.Message, &tx.Digest), Transaction: &k.transaction}
	if claim.Message != k.decoded.Digest && !isDigest(claim.Message, tx.Digest) {
		k.differ("message", claim.Message, k.decoded.Digest)
	}
	switch {
	case tx.ChainID == nil:
		k.differ("chainId", formatInt(claim.ChainID), "none: valid on every chain")
	case claim.ChainID != nil:
		k.number("chainId", claim.ChainID, tx.ChainID)
	}
	k.number("gasPrice", claim.GasPrice, tx.Price)
	if claim.GasLimit != nil && (!claim.GasLimit.IsUint64() || claim.GasLimit.Uint64() != tx.Gas) {
		k.differ("gasLimit", claim.GasLimit.String(), strconv.FormatUint(tx.Gas, 10))
	}
	k.number("fee", claim.Fee, tx.MaxFee)
	if claim.InputData != "" {
		if written := k.decoded.Transaction.Data; claim.InputData != written && !isHexOf(claim.InputData, tx.Data) {
			k.differ("inputdata", claim.InputData, written)
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
func (k *evmCheck) payment(claim *Claim, tx *EVM) {
	if tx.To == nil {
		k.obstruct(CodeCreation, "the transaction creates a contract")
		if claim.To != "" {
			k.differ("to", claim.To, "none: contract creation")
		}
		k.number("amount", nativeAmount(claim), tx.Value)
		k.record(&effect{open: true})
		return
	}
	t := k.follow(claim, tx.ChainID)
	e := t.run(site{from: caller(claim), contract: tx.To, value: tx.Value, data: tx.Data})
	e.open = e.open || len(tx.Authorizations) > 0
	k.record(e)
	switch {
	case len(tx.Data) == 0:
		k.moved(&e.movements[0])
		k.compareTransfer(claim, &e.movements[0])
	case t.isERC20():
		k.erc20(claim, tx)
	default:
		k.effects(claim, e, tx)
	}
}

// follow readies what follows the calls of a claim's transaction; a nil chain id is none that is known.
func (k *evmCheck) follow(claim *Claim, chainID *big.Int) *tracer {
	t := &k.tracer
	t.asset, t.abis, t.chainID = claim.Asset, claim.ABIs, chainID
	t.steps, t.movements = t.first.steps[:0], t.first.movements[:0]
	return t
}

// caller is the address that will sign, else who is claimed to; nil if neither is known.
func caller(claim *Claim) *[20]byte {
	from := claim.Signer
	if from == "" {
		from = claim.From
	}
	if from == "" {
		return nil
	}
	address, err := derive.ParseEVMAddress(from)
	if err != nil {
		return nil
	}
	return &address
}

// record keeps what was found for the policy's eyes.
func (k *evmCheck) record(e *effect) {
	k.decoded.Calls, k.decoded.Movements, k.decoded.Approvals = orEmpty(e.steps), orEmpty(e.movements), orEmpty(e.approvals)
	k.decoded.Complete = !e.open
	k.obstacles = append(k.obstacles, e.obstacles...)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// erc20 compares a transaction that calls ERC-20's transfer, transferFrom or approve itself.
func (k *evmCheck) erc20(claim *Claim, tx *EVM) {
	if !k.called(&k.decoded.Calls[0]) {
		return
	}
	call := k.decoded.Call
	moved := Movement{Asset: AssetERC20, Contract: call.Contract, To: call.To, Amount: call.Amount}
	if call.Method == MethodTransfer && tx.Value.Sign() == 0 {
		k.moved(&moved)
	}
	k.plainTransfer(claim, call)
	if call.Method == MethodApprove && claim.Asset.Kind != AssetERC20 {
		k.declaredCall(claim, tx)
		return
	}
	k.compareTransfer(claim, &moved)
	if tx.Value.Sign() != 0 && claim.Asset.Kind == AssetERC20 {
		k.differ("value", "0", tx.Value.String())
	}
}

// called keeps what a step calls of ERC-20, whose arguments were read with it.
func (k *evmCheck) called(step *Step) bool {
	if !k.call.of(step) {
		k.obstruct(CodeUndecodable, "calldata of "+step.Method+" has other arguments than are known")
		return false
	}
	k.decoded.Call = &k.call
	return true
}

// moved keeps a movement as the effective one.
func (k *evmCheck) moved(m *Movement) {
	k.transfer = Transfer{Asset: m.Asset, Contract: m.Contract, TokenID: m.TokenID, To: m.To, Amount: m.Amount}
	k.decoded.Transfer = &k.transfer
}

// plainTransfer finds a method that is no transfer: for a claim about a token, which says that there is one, a
// contradiction.
func (k *evmCheck) plainTransfer(claim *Claim, call *CallFields) {
	if call.Method != MethodTransfer && claim.Asset.Kind == AssetERC20 {
		k.differ("method", MethodTransfer, call.Method)
	}
}

// declaredCall compares a call that is no transfer with a claim about the native coin: the contract is the recipient,
// the transaction's value the amount, and the calldata must have been declared, since a claim without calldata says
// that there is none. A claim about a token has no counterpart in such a call.
func (k *evmCheck) declaredCall(claim *Claim, tx *EVM) {
	if claim.Asset.Kind != AssetNative {
		return
	}
	if claim.To != "" && !isAddress(claim.To, formatAddress(tx.To)) {
		k.differ("to", claim.To, formatAddress(tx.To))
	}
	k.number("amount", claim.Amount, tx.Value)
	if claim.InputData == "" {
		k.differ("inputdata", "", formatBytes(tx.Data))
	}
}

// claimedCalldata checks a claim against its own calldata, all that there is without a transaction. The contract that it
// goes to is not known: only for its ABI is it taken to be the token, or for coins the recipient.
func (k *evmCheck) claimedCalldata(claim *Claim) {
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
	t := k.follow(claim, claim.ChainID)
	assumed := claim.Asset.Contract
	if claim.Asset.Kind == AssetNative {
		assumed = claim.To
	}
	if contract, err := derive.ParseEVMAddress(assumed); err == nil {
		t.assumed = &contract
	}
	e := t.run(site{from: caller(claim), data: data})
	k.decoded.Kind = KindEVMCalldata
	k.record(e)
	if !t.isERC20() {
		k.effects(claim, e, nil)
		return
	}
	if !k.called(&e.steps[0]) {
		return
	}
	call := k.decoded.Call
	k.plainTransfer(claim, call)
	switch claim.Asset.Kind {
	case AssetERC20:
		if claim.To != "" && !isAddress(claim.To, call.To) {
			k.differ("to", claim.To, call.To)
		}
		if claim.Amount != nil && !isInt(claim.Amount, call.Amount) {
			k.differ("amount", claim.Amount.String(), call.Amount)
		}
	case AssetNative:
		if call.Method != MethodApprove {
			k.differ("assetId", string(AssetNative), "a token, by "+call.Method)
		}
	}
}

// number compares a claimed number, nil being no claim.
func (k *comparison) number(field string, claimed, signed *big.Int) {
	if claimed != nil && claimed.Cmp(signed) != 0 {
		k.differ(field, claimed.String(), signed.String())
	}
}

func nativeAmount(claim *Claim) *big.Int {
	if claim.Asset.Kind == AssetNative {
		return claim.Amount
	}
	return nil
}

// sameAddress compares two addresses; one that is malformed or has a wrong checksum equals nothing.
func sameAddress(a, b string) bool {
	x, err := derive.ParseEVMAddress(a)
	if err != nil || a == b {
		return err == nil
	}
	y, err := derive.ParseEVMAddress(b)
	return err == nil && x == y
}

// isAddress says whether a claimed address is one that formatAddress wrote, however it is claimed.
func isAddress(claimed, written string) bool {
	if claimed == written {
		return written != ""
	}
	address, err := derive.ParseEVMAddress(claimed)
	return err == nil && formatAddress(&address) == written
}

func parseDigest(s string) (digest [32]byte, err error) {
	digits := strings.TrimPrefix(s, "0x")
	if len(digits) == 2*len(digest) {
		_, err = hex.Decode(digest[:], []byte(digits))
	}
	if err != nil || len(digits) != 2*len(digest) {
		return [32]byte{}, errors.New("message must be a digest of 32 bytes in hex")
	}
	return digest, nil
}

// isDigest says whether text is a digest as parseDigest reads it.
func isDigest(text string, digest [32]byte) bool {
	read, err := parseDigest(text)
	return err == nil && read == digest
}

// isHexOf says whether text is data as parseCalldata reads it.
func isHexOf(text string, data []byte) bool {
	digits := strings.TrimPrefix(text, "0x")
	if len(digits) != 2*len(data) {
		return false
	}
	read, err := hex.AppendDecode(make([]byte, 0, 512), []byte(digits)) // most have room on the stack
	return err == nil && bytes.Equal(read, data)
}

func parseCalldata(s string) ([]byte, error) {
	data, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		return nil, fmt.Errorf("inputdata is not hex: %v", err)
	}
	return data, nil
}

// isInt says whether text is what formatInt writes of an integer, which is not nil.
func isInt(n *big.Int, text string) bool {
	if !n.IsUint64() {
		return n.String() == text
	}
	return string(strconv.AppendUint(make([]byte, 0, 20), n.Uint64(), 10)) == text // compared on the stack
}

// formatInt writes an integer in decimal, "" for nil.
func formatInt(n *big.Int) string {
	switch {
	case n == nil:
		return ""
	case n.IsUint64():
		return strconv.FormatUint(n.Uint64(), 10)
	}
	return n.String()
}
