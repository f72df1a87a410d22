package prop

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// Setting is under what a request is judged.
type Setting struct {
	Now time.Time
	// Used is what windows have used already, in base units or as counts; those that are not named are empty.
	Used map[string]*big.Int
	// Approved says that everybody who may approve the request has.
	Approved bool
}

// errUnbuildable is a combination of values of which no request can be made, such as an address on a curve that a key is not.
var errUnbuildable = errors.New("no request can be made of these values")

// built is a request on its way to a body.
type built struct {
	*maker
	request
	check *wire.Check
	info  map[string]any // tx_info, nil for none
	serial
}

// serial tells requests of one sequence apart.
type serial int

// build makes the body of a request, as a node sends it, and the setting that belongs to it.
func (g *maker) build(r request, n serial) (body []byte, set Setting, err error) {
	at, err := time.Parse(time.RFC3339, r[dimTime])
	if err != nil {
		return nil, set, errUnbuildable
	}
	set = Setting{Now: at, Used: map[string]*big.Int{}, Approved: g.given.Approvals == "given"}
	for _, id := range g.counting(r) {
		if used, ok := new(big.Int).SetString(r[dimWindow+id], 10); ok && used.Sign() > 0 {
			set.Used[id] = used
		}
	}
	id := fmt.Sprintf("prop-%d", n)
	b := &built{maker: g, request: r, serial: n, check: &wire.Check{
		CallbackID: id, RequestType: r[dimType], ExtraInfo: wire.ExtraInfo{SinoID: id, RequestID: id},
		RequestDetail: wire.RequestDetail{Cryptography: wire.ECDSASecp256k1, PublicKey: r[dimKey], Path: r[dimPath]},
	}}
	if err := b.fill(); err != nil {
		return nil, set, err
	}
	body, err = b.body()
	return body, set, err
}

func (b *built) fill() error {
	d := &b.check.RequestDetail
	switch b.request[dimWhat] {
	case formKeygen:
		return b.keygen()
	case formPreSign:
		return nil
	case formRaw:
		d.SignType, d.Message = wire.SignTypeRaw, strings.Repeat("5a", 32)
	case formDigest:
		d.SignType, d.Message = wire.SignTypeTransaction, strings.Repeat("5b", 32)
	case formText, formBytes, formTyped, formPermit:
		d.SignType = wire.SignTypeMessage
		return b.message()
	default:
		d.SignType = wire.SignTypeTransaction
		return b.transaction()
	}
	return nil
}

func (b *built) body() ([]byte, error) {
	if requester := b.request[dimRequester]; requester != none && b.request[dimWhat] != formKeygen {
		if b.info == nil && b.request[dimWhat] != formDigest {
			b.info = map[string]any{}
		}
		if b.info != nil { // a digest of which nothing is said has no tx_info to name the requester in
			b.info["requester"] = map[string]any{"key_id": requester, "signature": "00"}
		}
	}
	if b.info != nil {
		raw, err := json.Marshal(b.info)
		if err != nil {
			return nil, err
		}
		b.check.RequestDetail.TxInfo = raw
	}
	body, err := b.check.Marshal()
	if err != nil || b.request[dimUnknown] == none {
		return body, err
	}
	return withField(body, b.request[dimUnknown])
}

// withField adds an unknown field to a body.
func withField(body []byte, pointer string) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, err
	}
	at := document
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for _, part := range parts[:len(parts)-1] {
		next, ok := at[part].(map[string]any)
		if !ok {
			return nil, errUnbuildable
		}
		at = next
	}
	at[parts[len(parts)-1]] = "x"
	return json.Marshal(document)
}

func (b *built) keygen() error {
	parts := strings.Fields(b.request[dimScheme])
	if len(parts) != 3 {
		return errUnbuildable
	}
	d := &b.check.RequestDetail
	d.Cryptography, d.T, d.N, d.PublicKey, d.Path = parts[0], atoi(parts[1]), atoi(parts[2]), "", ""
	known := sorted(b.world.Keygen.Parties)
	for i := range d.N {
		if i < len(known) {
			d.PartyIDs = append(d.PartyIDs, known[i])
		} else {
			d.PartyIDs = append(d.PartyIDs, fmt.Sprintf("somebody-%d", i))
		}
	}
	if len(d.PartyIDs) == 0 {
		return nil
	}
	last := len(d.PartyIDs) - 1
	switch b.request[dimParties] {
	case "one unknown":
		d.PartyIDs[last] = "somebody"
	case "one twice":
		d.PartyIDs[last] = d.PartyIDs[0]
	case "one too few":
		d.PartyIDs = d.PartyIDs[:last]
	}
	return nil
}

// amountText writes base units as the chain's tx_info has them.
func (b *built) amountText(n *big.Int, decimals int) string {
	if b.world.Chains[b.request[dimChain]].AmountUnit == "coin" {
		return coins(n, decimals)
	}
	return n.String()
}

func (b *built) integer(dim string) *big.Int {
	n, ok := new(big.Int).SetString(b.request[dim], 10)
	if !ok {
		return new(big.Int)
	}
	return n
}

func (b *built) transaction() error {
	chain := b.world.Chains[b.request[dimChain]]
	asset, known := chain.Assets[b.request[dimAsset]]
	if !known {
		return errUnbuildable
	}
	b.info = map[string]any{
		"requestId": fmt.Sprintf("payment-%d", b.serial), "chainSymbol": b.request[dimChain], "assetId": b.request[dimAsset],
		"to": b.request[dimTo], "amount": b.amountText(b.integer(dimAmount), asset.Decimals),
	}
	for key, dim := range map[string]string{"walletId": dimWallet, "vaultId": dimVault} {
		if b.request[dim] != none {
			b.info[key] = b.request[dim]
		}
	}
	if chain.Family == "evm" {
		return b.evm()
	}
	return b.bitcoin()
}

// digest puts into the request what its rawTx has signed.
func (b *built) digest(rawTx string) error {
	d := &b.check.RequestDetail
	b.info["rawTx"] = rawTx
	root, _ := b.info["tapScriptRoot"].(string)
	input, _ := b.info["curInputId"].(string)
	payload, err := evidence.SigningDigest(evidence.Request{
		RequestType: signedAs(b.check.RequestType), Cryptography: d.Cryptography, SignType: d.SignType, RawTx: rawTx, InputID: input, TapScriptRoot: root, HasTxInfo: true,
	})
	if err != nil {
		return fmt.Errorf("%w: %v", errUnbuildable, err)
	}
	d.Message = hex.EncodeToString(payload.Digest)
	if b.request[dimTwist] == "message" {
		d.Message = strings.Repeat("5c", 32)
	}
	return nil
}

// signedAs is the request type by whose rules a digest is computed.
func signedAs(requestType string) string {
	if requestType == wire.TypePreSignOnline {
		return wire.TypeSign
	}
	return requestType
}
