package cluster

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Path is where the demo's address lies.
const Path = "m/44/60/0/0/0"

// Payment is an ERC-20 transfer on Ethereum as a wallet would ask for it.
type Payment struct {
	RequestID string
	KeyID     string
	From      string // address of the key at Path
	To        string
	Amount    *big.Int // base units of USDT
	Nonce     uint64
	// Claim changes tx_info after it was made from the transaction, to tell a lie.
	Claim func(txInfo map[string]any)
}

// USDTUnits turns whole USDT into base units.
func USDTUnits(whole int64) *big.Int {
	return new(big.Int).Mul(big.NewInt(whole), big.NewInt(1_000_000))
}

// Transaction is the unsigned EIP-1559 transaction.
func (p Payment) Transaction() *types.DynamicFeeTx {
	token := common.HexToAddress(USDT)
	data := append(crypto.Keccak256([]byte("transfer(address,uint256)"))[:4], common.LeftPadBytes(common.HexToAddress(p.To).Bytes(), 32)...)
	data = append(data, common.LeftPadBytes(p.Amount.Bytes(), 32)...)
	return &types.DynamicFeeTx{ChainID: big.NewInt(1), Nonce: p.Nonce, GasTipCap: big.NewInt(1_000_000_000), GasFeeCap: big.NewInt(21_000_000_000),
		Gas: 65_000, To: &token, Data: data}
}

// Terms is the request for a signature of the payment.
func (p Payment) Terms() (manifest.Terms, error) {
	tx := p.Transaction()
	payload, err := rlp.EncodeToBytes([]any{tx.ChainID, tx.Nonce, tx.GasTipCap, tx.GasFeeCap, tx.Gas, tx.To, big.NewInt(0), tx.Data, types.AccessList{}})
	if err != nil {
		return manifest.Terms{}, fmt.Errorf("encode transaction: %w", err)
	}
	info := map[string]any{
		"vaultId": "483900000000001", "walletId": "483900000000002", "requestId": p.RequestID, "chainSymbol": "ETH", "assetId": "USDT_ETH",
		"from": p.From, "to": p.To, "amount": p.Amount.String(), "gasPrice": tx.GasFeeCap.String(), "gasLimit": fmt.Sprint(tx.Gas),
		"inputdata": "0x" + hex.EncodeToString(tx.Data), "note": "demo", "rawTx": "0x02" + hex.EncodeToString(payload),
	}
	if p.Claim != nil {
		p.Claim(info)
	}
	encoded, err := json.Marshal(info)
	if err != nil {
		return manifest.Terms{}, err
	}
	return manifest.Terms{Type: wire.TypeSign, RequestID: p.RequestID, KeyID: p.KeyID, Path: Path, SignType: wire.SignTypeTransaction, TxInfo: encoded}, nil
}

// Body is the payment as the body of POST /api/v1/sessions, for a person to read and not signed.
func (p Payment) Body() ([]byte, error) {
	terms, err := p.Terms()
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(map[string]any{"session_type": "sign", "request_id": p.RequestID, "key_id": p.KeyID, "path": terms.Path,
		"tx_info": json.RawMessage(terms.TxInfo)}, "", "  ")
}

// Digest is what has to be signed for the payment, by go-ethereum.
func (p Payment) Digest() string {
	hash := types.LatestSignerForChainID(big.NewInt(1)).Hash(types.NewTx(p.Transaction()))
	return hex.EncodeToString(hash[:])
}

// Sender recovers, with go-ethereum, who signed the payment's transaction with this signature (r ‖ s ‖ recovery id, 65 bytes).
func (p Payment) Sender(signature []byte) (string, error) {
	signer := types.LatestSignerForChainID(big.NewInt(1))
	signed, err := types.NewTx(p.Transaction()).WithSignature(signer, signature)
	if err != nil {
		return "", fmt.Errorf("put the signature into the transaction: %w", err)
	}
	sender, err := types.Sender(signer, signed)
	if err != nil {
		return "", fmt.Errorf("recover the sender: %w", err)
	}
	return sender.Hex(), nil
}
