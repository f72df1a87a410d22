package mpcapi

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// The three calls of the wallet service that the node guide names, in their published shapes (docs/FORMATS.md, coordinator).
// They have no room for a requester's signature, so authorization is added: without it only nodes that take unsigned
// requests sign.

func (a *api) walletService(r chi.Router) {
	r.Post("/web3/sign_message", a.waas(a.signMessage))
	r.Post("/wallet/advance/sign_raw_data", a.waas(a.signRawData))
	r.Post("/web3/sign_result", a.waas(a.signResult))
}

// waasView is the published envelope of every answer; code is 200, or the HTTP status of a refusal.
type waasView struct {
	Code    int    `json:"code"`
	Msg     string `json:"msg"`
	Data    any    `json:"data"`
	Success bool   `json:"success"`
}

// waas is authenticated in the published envelope.
func (a *api) waas(op func(*http.Request, caller) (any, error)) http.HandlerFunc {
	return a.handle(func(r *http.Request, _ caller) (reply, error) {
		c, err := a.caller(r)
		if err != nil {
			return a.waasFailure(r, err), nil
		}
		data, err := op(r, c)
		if err != nil {
			return a.waasFailure(r, err), nil
		}
		return reply{http.StatusOK, waasView{Code: http.StatusOK, Msg: "success", Data: data, Success: true}}, nil
	})
}

func (a *api) waasFailure(r *http.Request, err error) reply {
	out := a.failure(r, err)
	view, _ := out.body.(errorView)
	return reply{out.status, waasView{Code: out.status, Msg: view.Error + ": " + view.Message}}
}

type signMessageBody struct {
	RequestID     string         `json:"requestId"`
	ChainSymbol   string         `json:"chainSymbol"`
	AssetID       string         `json:"assetId"`
	HDPath        string         `json:"hdPath"`
	SignAlgorithm string         `json:"signAlgorithm"`
	Message       string         `json:"message"`
	WalletID      string         `json:"walletId"`
	Authorization *authorization `json:"authorization"`
}

// signMessage asks for the signature of an EIP-191 or EIP-712 message.
func (a *api) signMessage(r *http.Request, c caller) (any, error) {
	body, err := readBody[signMessageBody](r)
	if err != nil {
		return nil, err
	}
	digest, err := messageDigest(body.SignAlgorithm, body.Message)
	if err != nil {
		return nil, err
	}
	o, err := waasOrder(c, body.RequestID, body.HDPath, body.WalletID, body.Authorization)
	if err != nil {
		return nil, err
	}
	o.Terms.Type, o.Terms.SignType, o.Terms.Message = wire.TypeSign, wire.SignTypeMessage, body.Message
	o.Terms.TxInfo, err = json.Marshal(struct {
		WalletID    string `json:"walletId,omitempty"`
		RequestID   string `json:"requestId,omitempty"`
		ChainSymbol string `json:"chainSymbol,omitempty"`
		AssetID     string `json:"assetId,omitempty"`
	}{body.WalletID, body.RequestID, body.ChainSymbol, body.AssetID})
	if err != nil {
		return nil, err
	}
	st, _, err := a.cfg.Coordinator.Submit(r.Context(), o)
	if err != nil {
		return nil, err
	}
	return struct {
		SinoID      string `json:"sinoId"`
		MessageHash string `json:"messageHash"`
	}{st.Request.SinoID, "0x" + hex.EncodeToString(digest)}, nil
}

// messageDigest is the digest that the nodes will sign, by the function that they compute it with. What the algorithm says
// and what the message is must agree: nodes go by the message alone.
func messageDigest(algorithm, message string) (digest []byte, err error) {
	defer func() {
		if recover() != nil { // the decoders are other people's
			err = invalid("message", "it cannot be decoded")
		}
	}()
	kinds := map[string]evidence.Kind{"personal_sign": evidence.KindEIP191, "signTypedData": evidence.KindEIP712,
		"eth_signTypedData_v3": evidence.KindEIP712, "eth_signTypedData_v4": evidence.KindEIP712}
	kind, ok := kinds[algorithm]
	if !ok {
		return nil, invalid("signAlgorithm", "it is personal_sign, signTypedData, eth_signTypedData_v3 or eth_signTypedData_v4")
	}
	payload, err := evidence.SigningDigest(evidence.Request{RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1,
		SignType: wire.SignTypeMessage, Message: message})
	if err != nil {
		return nil, invalid("message", clip(err.Error(), 300))
	}
	if payload.Kind != kind {
		return nil, invalid("signAlgorithm", "the message is "+string(payload.Kind)+", which "+algorithm+" does not sign")
	}
	return payload.Digest, nil
}

type signRawDataBody struct {
	VaultID       string         `json:"vaultId"`
	RequestID     string         `json:"requestId"`
	WalletID      string         `json:"walletId"`
	HDPath        string         `json:"hdPath"`
	RawData       string         `json:"rawData"`
	AlgorithmType int            `json:"algorithmType"`
	TapScriptRoot string         `json:"tapScriptRoot"`
	Authorization *authorization `json:"authorization"`
}

// signRawData asks for the signature of raw data: of 32 bytes in hex, or with an Ed25519 key of any message in hex.
func (a *api) signRawData(r *http.Request, c caller) (any, error) {
	body, err := readBody[signRawDataBody](r)
	if err != nil {
		return nil, err
	}
	o, err := waasOrder(c, body.RequestID, body.HDPath, body.WalletID, body.Authorization)
	if err != nil {
		return nil, err
	}
	types := []string{wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign}
	if body.AlgorithmType < 0 || body.AlgorithmType >= len(types) {
		return nil, invalid("algorithmType", "it is 0 (the key's own), 1 (BIP340) or 2 (Taproot)")
	}
	t := &o.Terms
	t.Type, t.SignType, t.Message, t.TapScriptRoot = types[body.AlgorithmType], wire.SignTypeRaw, body.RawData, body.TapScriptRoot
	t.TxInfo, err = json.Marshal(struct {
		VaultID       string `json:"vaultId,omitempty"`
		WalletID      string `json:"walletId,omitempty"`
		RequestID     string `json:"requestId,omitempty"`
		TapScriptRoot string `json:"tapScriptRoot,omitempty"` // as the nodes demand where there is a tx_info
	}{body.VaultID, body.WalletID, body.RequestID, body.TapScriptRoot})
	if err != nil {
		return nil, err
	}
	st, _, err := a.cfg.Coordinator.Submit(r.Context(), o)
	if err != nil {
		return nil, err
	}
	return struct {
		SinoID string `json:"sinoId"`
	}{st.Request.SinoID}, nil
}

// waasOrder starts the order of a call. walletId is the key's id; without one the account has one key that can sign it.
func waasOrder(c caller, requestID, path, walletID string, auth *authorization) (coordinator.Order, error) {
	o := coordinator.Order{Account: c.account, Terms: manifest.Terms{RequestID: requestID, KeyID: walletID, Path: path}}
	if requestID == "" {
		return o, invalid("requestId", "it is missing")
	}
	if auth == nil {
		return o, nil
	}
	var err error
	o.Authorization, err = auth.parse()
	return o, err
}

type signResultBody struct {
	RequestID string `json:"requestId"`
	SinoID    string `json:"sinoId"`
}

// What state of a result says.
const (
	waasInProgress = iota
	waasSuccess
	waasFailed
)

// signResult gives what became of a signing. The signature of a message is r ‖ s ‖ v with v 27 or 28, every other its 64
// bytes; one that is for a recipient is ciphertext.
func (a *api) signResult(r *http.Request, c caller) (any, error) {
	body, err := readBody[signResultBody](r)
	if err != nil {
		return nil, err
	}
	id := body.SinoID
	if id == "" {
		id = body.RequestID
	}
	st, err := a.cfg.Coordinator.Request(r.Context(), c.account, id)
	if err != nil {
		return nil, err
	}
	if body.SinoID != "" && body.RequestID != "" && (st.Request.SinoID != body.SinoID || st.Request.RequestID != body.RequestID) {
		return nil, invalid("requestId", "it is not that of the request of sinoId: send one of them")
	}
	if st.Request.Type == wire.TypeKeygen {
		return nil, invalid("requestId", "it is that of a keygen, which has no signature")
	}
	terms, err := a.cfg.Coordinator.Terms(r.Context(), c.account, st.Request.SinoID)
	if err != nil {
		return nil, err
	}
	out := struct {
		RequestID string `json:"requestId"`
		SinoID    string `json:"sinoId"`
		Message   string `json:"message"`
		Signature string `json:"signature"`
		State     int    `json:"state"`
	}{st.Request.RequestID, st.Request.SinoID, terms.Message, "", waasInProgress}
	switch result := st.Request.Result; {
	case st.Request.State == coordinator.StateCompleted && result == nil:
		return nil, errors.New("a completed request has no result")
	case st.Request.State == coordinator.StateCompleted:
		out.State, out.Signature = waasSuccess, hex.EncodeToString(waasSignature(terms, result))
	case st.Request.State.Final():
		out.State = waasFailed
	}
	return out, nil
}

func waasSignature(t manifest.Terms, r *coordinator.Result) []byte {
	const firstV = 27
	out := append([]byte{}, r.Signature...)
	if t.SignType == wire.SignTypeMessage && !r.Encrypted {
		out = append(out, firstV+r.RecoveryID&1)
	}
	return out
}
