package derive

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/base58"
	"github.com/btcsuite/btcd/btcutil/bech32"
)

// Network is one of Bitcoin's networks. Their names are those of data.json.
type Network string

// The networks. Signet's addresses are those of testnet, and regtest's are too but for bech32.
const (
	Mainnet Network = "mainnet"
	Testnet Network = "testnet"
	Signet  Network = "signet"
	Regtest Network = "regtest"
)

// prefixes are what a network's addresses start with.
type prefixes struct {
	hrp         string // human-readable part (BIP173)
	pubKeyHash  byte   // version byte of base58check
	scriptsHash byte
}

func (n Network) prefixes() (prefixes, error) {
	switch n {
	case Mainnet:
		return prefixes{"bc", 0x00, 0x05}, nil
	case Testnet, Signet:
		return prefixes{"tb", 0x6f, 0xc4}, nil
	case Regtest:
		return prefixes{"bcrt", 0x6f, 0xc4}, nil
	default:
		return prefixes{}, fmt.Errorf("network %s is unknown: it is %s, %s, %s or %s", quote(string(n)), Mainnet, Testnet, Signet, Regtest)
	}
}

// Known tells whether this is one of the networks.
func (n Network) Known() bool {
	_, err := n.prefixes()
	return err == nil
}

// Opcodes of the scripts that have addresses.
const (
	op0           = 0x00
	op1           = 0x51
	op16          = 0x60
	opDup         = 0x76
	opEqual       = 0x87
	opEqualVerify = 0x88
	opHash160     = 0xa9
	opCheckSig    = 0xac
)

// P2PKHAddress gives the address of a compressed public key (33 bytes) for a payment to its hash.
func P2PKHAddress(n Network, pub33 []byte) (string, error) {
	return keyAddress(n, pub33, func(hash []byte) []byte {
		return bytes.Join([][]byte{{opDup, opHash160, 20}, hash, {opEqualVerify, opCheckSig}}, nil)
	})
}

// P2WPKHAddress gives the segwit address of a compressed public key (33 bytes; BIP141, BIP84).
func P2WPKHAddress(n Network, pub33 []byte) (string, error) {
	return keyAddress(n, pub33, func(hash []byte) []byte { return witnessScript(0, hash) })
}

// P2SHP2WPKHAddress gives the address of a compressed public key (33 bytes) for segwit inside a script hash (BIP141,
// BIP49).
func P2SHP2WPKHAddress(n Network, pub33 []byte) (string, error) {
	return keyAddress(n, pub33, func(hash []byte) []byte {
		return bytes.Join([][]byte{{opHash160, 20}, btcutil.Hash160(witnessScript(0, hash)), {opEqual}}, nil)
	})
}

// P2TRAddress gives the taproot address (BIP341, BIP86) of an internal key (33 bytes compressed or 32 x-only) with the
// Merkle root of its scripts, 32 bytes or empty.
func P2TRAddress(n Network, publicKey, tapScriptRoot []byte) (string, error) {
	key, err := TaprootOutputKey(publicKey, tapScriptRoot)
	if err != nil {
		return "", fmt.Errorf("bitcoin address: %w", err)
	}
	return BitcoinAddress(n, witnessScript(1, key.OutputKey[:]))
}

func keyAddress(n Network, pub33 []byte, script func(hash []byte) []byte) (string, error) {
	if _, err := parsePublicKey(pub33); err != nil {
		return "", fmt.Errorf("bitcoin address: %w", err)
	}
	return BitcoinAddress(n, script(btcutil.Hash160(pub33)))
}

// ErrNoAddress is wrapped by BitcoinAddress for a script that no address stands for.
var ErrNoAddress = errors.New("the script has no address")

// BitcoinAddress gives the address that stands for an output script: P2PKH, P2SH, or a witness program of any version
// (bech32 for version 0, BIP173; bech32m for others, BIP350). Any other script gives an error that wraps ErrNoAddress.
func BitcoinAddress(n Network, script []byte) (string, error) {
	p, err := n.prefixes()
	if err != nil {
		return "", fmt.Errorf("bitcoin address: %w", err)
	}
	switch {
	case len(script) == 25 && bytes.HasPrefix(script, []byte{opDup, opHash160, 20}) && bytes.HasSuffix(script, []byte{opEqualVerify, opCheckSig}):
		return base58.CheckEncode(script[3:23], p.pubKeyHash), nil
	case len(script) == 23 && bytes.HasPrefix(script, []byte{opHash160, 20}) && script[22] == opEqual:
		return base58.CheckEncode(script[2:22], p.scriptsHash), nil
	}
	version, program, ok := witnessProgram(script)
	if !ok {
		return "", fmt.Errorf("bitcoin address: %w", ErrNoAddress)
	}
	words, err := bech32.ConvertBits(program, 8, 5, true)
	if err != nil {
		return "", fmt.Errorf("bitcoin address: %v", err)
	}
	words = append([]byte{version}, words...)
	encode := bech32.EncodeM
	if version == 0 {
		encode = bech32.Encode
	}
	address, err := encode(p.hrp, words)
	if err != nil {
		return "", fmt.Errorf("bitcoin address: %v", err)
	}
	return address, nil
}

// BitcoinScript gives the output script that an address of a network stands for. It takes base58 addresses of key and
// script hashes, and segwit addresses by BIP173 and BIP350, in one case and with the checksum of their version.
func BitcoinScript(n Network, address string) ([]byte, error) {
	p, err := n.prefixes()
	if err != nil {
		return nil, fmt.Errorf("bitcoin address: %w", err)
	}
	fail := func(reason string) ([]byte, error) {
		return nil, fmt.Errorf("bitcoin address %s of %s: %s", quote(address), n, reason)
	}
	if len(address) > 90 {
		return fail("it is longer than any address")
	}
	if strings.HasPrefix(strings.ToLower(address), p.hrp+"1") {
		script, err := decodeSegwit(p.hrp, address)
		if err != nil {
			return fail(err.Error())
		}
		return script, nil
	}
	hash, version, err := base58.CheckDecode(address)
	switch {
	case err != nil || len(hash) != 20:
		return fail("it is neither base58 with a right checksum nor does it start with " + p.hrp + "1")
	case version == p.pubKeyHash:
		return bytes.Join([][]byte{{opDup, opHash160, 20}, hash, {opEqualVerify, opCheckSig}}, nil), nil
	case version == p.scriptsHash:
		return bytes.Join([][]byte{{opHash160, 20}, hash, {opEqual}}, nil), nil
	default:
		return fail(fmt.Sprintf("its version byte is %#02x: it belongs to another network", version))
	}
}

func decodeSegwit(hrp, address string) ([]byte, error) {
	gotHRP, words, encoding, err := bech32.DecodeGeneric(address)
	if err != nil {
		return nil, fmt.Errorf("it is no bech32: %v", err)
	}
	if gotHRP != hrp || len(words) == 0 || words[0] > 16 {
		return nil, errors.New("it has another prefix, or no witness version from 0 to 16")
	}
	version := words[0]
	program, err := bech32.ConvertBits(words[1:], 5, 8, false)
	if err != nil {
		return nil, fmt.Errorf("its program does not decode: %v", err)
	}
	if (version == 0) != (encoding == bech32.Version0) {
		return nil, errors.New("version 0 has a checksum of BIP173, others have one of BIP350: this one has the other")
	}
	script := witnessScript(version, program)
	if _, _, ok := witnessProgram(script); !ok || (version == 0 && len(program) != 20 && len(program) != 32) {
		return nil, fmt.Errorf("a witness program of version %d has no %d bytes", version, len(program))
	}
	return script, nil
}

func witnessScript(version byte, program []byte) []byte {
	op := byte(op0)
	if version > 0 {
		op = op1 + version - 1
	}
	return append([]byte{op, byte(len(program))}, program...)
}

// witnessProgram reads a script of BIP141: a version and a push of 2 to 40 bytes.
func witnessProgram(script []byte) (version byte, program []byte, ok bool) {
	if len(script) < 4 || len(script) > 42 || int(script[1]) != len(script)-2 {
		return 0, nil, false
	}
	switch op := script[0]; {
	case op == op0 && (len(script) == 22 || len(script) == 34):
		return 0, script[2:], true
	case op >= op1 && op <= op16:
		return op - op1 + 1, script[2:], true
	}
	return 0, nil, false
}

// SolanaAddress gives the address of an Ed25519 public key (32 bytes): the key itself in base58.
func SolanaAddress(publicKey []byte) (string, error) {
	if _, err := parseEd25519(publicKey); err != nil {
		return "", fmt.Errorf("solana address: %w", err)
	}
	return base58.Encode(publicKey), nil
}
