package mpcapi

import (
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/countersign-mpc/countersign/coordinator"
)

const defaultPage, maxPage = 100, 1000 // keys of one list

// keyView is a key. What it signs with, and its address, are shown once it is active.
type keyView struct {
	KeyID        string         `json:"key_id"`
	State        string         `json:"state"`
	Error        string         `json:"error,omitempty"`
	Cryptography string         `json:"cryptography"`
	ThresholdT   int            `json:"threshold_t"`
	ThresholdN   int            `json:"threshold_n"`
	Epoch        uint32         `json:"epoch"`
	Parties      []partyView    `json:"parties"`
	Recipient    *recipientView `json:"recipient,omitempty"` // who alone learns signatures of sign_type 2 and 3
	SinoID       string         `json:"sino_id"`             // of its keygen
	CreatedAt    int64          `json:"created_at"`
	PublicKey    string         `json:"public_key,omitempty"`
	ChainCode    string         `json:"chain_code,omitempty"`
	Path         string         `json:"path,omitempty"`
	DerivedKey   string         `json:"derived_key,omitempty"`
	addressesView
}

type partyView struct {
	ShareIndex int    `json:"share_index"`
	Name       string `json:"name"`
	NodeID     string `json:"node_id"`
	Confirmed  bool   `json:"confirmed"` // it has stored its share
	Active     bool   `json:"active"`    // it uses it
}

func viewKey(k coordinator.Key) keyView {
	out := keyView{
		KeyID: k.ID, State: string(k.State), Error: k.Problem, Cryptography: k.Cryptography, ThresholdT: k.T, ThresholdN: len(k.Seats), Epoch: k.Epoch,
		SinoID: k.SinoID, CreatedAt: k.Created.Unix(), Recipient: viewRecipient(k, k.Recipient),
	}
	for _, seat := range k.Seats {
		p := partyView{ShareIndex: int(seat.Index), Name: seat.Name, NodeID: string(seat.NodeID)}
		for _, c := range k.Confirmations {
			if c.Index == seat.Index {
				p.Confirmed, p.Active = true, p.Active || c.Active
			}
		}
		out.Parties = append(out.Parties, p)
	}
	if k.State == coordinator.KeyActive {
		out.PublicKey, out.ChainCode = hex.EncodeToString(k.PublicKey), hex.EncodeToString(k.ChainCode)
	}
	return out
}

func (a *api) key(r *http.Request, c caller) (reply, error) {
	id, err := parameter(r, "id")
	if err != nil {
		return reply{}, err
	}
	key, err := a.cfg.Coordinator.Key(r.Context(), c.account, id)
	if err != nil {
		return reply{}, err
	}
	view := viewKey(key)
	if key.State == coordinator.KeyActive {
		err = view.derived(key, r.URL.Query())
	} else if len(r.URL.Query()) > 0 {
		err = &coordinator.Error{Code: coordinator.CodeKeyNotActive, Message: "key " + key.ID + " is " + string(key.State) +
			": its address is shown once all its parties have confirmed their shares"}
	}
	return reply{http.StatusOK, view}, err
}

func (a *api) listKeys(r *http.Request, c caller) (reply, error) {
	limit := defaultPage
	query := r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return reply{}, invalid("limit", "it is 1 to "+strconv.Itoa(maxPage))
		}
		limit = n
	}
	after := query.Get("after")
	if len(after) > 64 {
		return reply{}, invalid("after", "it is a key_id")
	}
	keys, err := a.cfg.Coordinator.Keys(r.Context(), c.account, after, limit)
	if err != nil {
		return reply{}, err
	}
	out := struct {
		Keys []keyView `json:"keys"`
		Next string    `json:"next,omitempty"` // give it as after for those that follow
	}{Keys: []keyView{}}
	for _, k := range keys {
		out.Keys = append(out.Keys, viewKey(k))
	}
	if len(keys) == limit {
		out.Next = keys[limit-1].ID
	}
	return reply{http.StatusOK, out}, nil
}
