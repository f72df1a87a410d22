package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/crypto"
)

// CheckMessage says what a sign_type 2 message is and what its digest is. A message that decodes is Verified, since it
// is itself what is signed; whether it may be signed is the policy's question. One that does not decode, which a node
// refuses as well, is Unverifiable with CodeUndecodable.
func CheckMessage(message string) Finding {
	var k comparison
	decoded, digest, err := decodeMessage(message)
	if err != nil {
		k.obstruct(CodeUndecodable, err.Error())
		return k.finding()
	}
	k.decoded = decoded
	k.decoded.Digest = hex.EncodeToString(digest[:])
	return k.finding()
}

// decodeMessage tells typed data, bytes and text apart: a JSON object that names a primaryType must be strict EIP-712
// typed data; 0x and an even number of hex digits are bytes; everything else is text. Bytes and text are signed by
// EIP-191, version 0x45.
func decodeMessage(message string) (Decoded, [32]byte, error) {
	switch {
	case message == "":
		return Decoded{}, [32]byte{}, errors.New("message is empty")
	case len(message) > MaxMessage:
		return Decoded{}, [32]byte{}, fmt.Errorf("message of %d bytes: at most %d are allowed", len(message), MaxMessage)
	case !utf8.ValidString(message):
		return Decoded{}, [32]byte{}, errors.New("message is not UTF-8: send bytes as 0x and hex digits")
	case looksTyped(message):
		return decodeTypedData(message)
	}
	if digits, ok := strings.CutPrefix(message, "0x"); ok {
		if data, err := hex.DecodeString(digits); err == nil {
			return Decoded{Kind: KindEIP191, Data: formatBytes(data)}, hashPersonal(data), nil
		}
	}
	return Decoded{Kind: KindEIP191, Text: message}, hashPersonal([]byte(message)), nil
}

// looksTyped says that a message is meant as typed data. Such a message is never signed as text, however broken it is:
// the sender would get a signature of another kind than the one it asked for.
func looksTyped(message string) bool {
	return strings.HasPrefix(strings.TrimLeft(message, " \t\r\n"), "{") && strings.Contains(message, `"primaryType"`)
}

// hashPersonal is EIP-191 version 0x45: Keccak-256 of 0x19 "Ethereum Signed Message:\n", the decimal length, the data.
func hashPersonal(data []byte) [32]byte {
	prefix := fmt.Sprintf("\x19Ethereum Signed Message:\n%d", len(data))
	return crypto.Keccak256Hash([]byte(prefix), data)
}
