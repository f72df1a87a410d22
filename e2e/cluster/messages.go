package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
)

// USDC is the token of the demo's permits, which has EIP-2612.
const USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"

// Permit is the typed data of an ERC-2612 permit: spender may take value (base units of USDC) from owner.
func Permit(owner, spender, value string, nonce int) string {
	return fmt.Sprintf(`{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},`+
		`{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],`+
		`"Permit":[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},`+
		`{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]},"primaryType":"Permit",`+
		`"domain":{"name":"USD Coin","version":"2","chainId":1,"verifyingContract":%q},`+
		`"message":{"owner":%q,"spender":%q,"value":%q,"nonce":"%d","deadline":"1900000000"}}`, USDC, owner, spender, value, nonce)
}

// Mail is the typed data of EIP-712's own example.
func Mail() string {
	return `{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},` +
		`{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],` +
		`"Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],` +
		`"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},{"name":"contents","type":"string"}]},` +
		`"primaryType":"Mail","domain":{"name":"Ether Mail","version":"1","chainId":1,"verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},` +
		`"message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},` +
		`"to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},"contents":"Hello, Bob!"}}`
}

// MessageDigest is what has to be signed for a message, by go-ethereum: EIP-712 for typed data, else EIP-191 for the text.
func MessageDigest(message string) ([]byte, error) {
	var typed apitypes.TypedData
	if json.Unmarshal([]byte(message), &typed) != nil || typed.PrimaryType == "" {
		return accounts.TextHash([]byte(message)), nil
	}
	digest, _, err := apitypes.TypedDataAndHash(typed)
	return digest, err
}

// MessageSigner recovers, with go-ethereum, the address that signed a digest with this signature (r ‖ s ‖ recovery id, 65 bytes;
// the id is 0 or 1, or 27 or 28 as wallets write it).
func MessageSigner(digest, signature []byte) (string, error) {
	if len(signature) != 65 {
		return "", fmt.Errorf("a signature of %d bytes, want 65", len(signature))
	}
	signature = bytes.Clone(signature)
	if signature[64] >= 27 {
		signature[64] -= 27
	}
	public, err := crypto.SigToPub(digest, signature)
	if err != nil {
		return "", fmt.Errorf("recover the signer: %w", err)
	}
	return crypto.PubkeyToAddress(*public).Hex(), nil
}

// SolanaMessage is a legacy message of Solana with 200 bytes: a transfer of lamports and a memo. The account that pays signs
// all of it.
func SolanaMessage(payer, to [32]byte, lamports uint64, blockhash [32]byte) []byte {
	var system [32]byte
	memo := [32]byte{5, 74, 83, 90, 153, 41, 33, 6, 77, 36, 232, 113, 96, 218, 56, 124, 124, 53, 181, 221, 188, 146, 187, 129, 228, 31, 168, 64, 65, 5, 68, 141}
	const note = "countersign dem"
	m := []byte{1, 0, 2, 4} // one signature; no read-only signers; two read-only accounts; four accounts
	for _, account := range [][32]byte{payer, to, system, memo} {
		m = append(m, account[:]...)
	}
	m = append(m, blockhash[:]...)
	m = append(m, 2, 2, 2, 0, 1, 12, 2, 0, 0, 0) // two instructions; of system, accounts 0 and 1, 12 bytes: transfer
	for range 8 {
		m = append(m, byte(lamports))
		lamports >>= 8
	}
	m = append(m, 3, 0, byte(len(note))) // of memo, no accounts
	return append(m, note...)
}
