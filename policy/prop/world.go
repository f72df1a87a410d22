package prop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"

	"github.com/countersign-mpc/countersign/policy"
)

// world is what the policy's data and rules know, from which requests are made.
type world struct {
	RequestTypes []string `json:"request_types"`
	Chains       map[string]struct {
		Family     string `json:"family"`
		ChainID    uint64 `json:"chain_id"`
		Network    string `json:"network"`
		AmountUnit string `json:"amount_unit"`
		Native     string `json:"native"`
		Assets     map[string]struct {
			Kind     string `json:"kind"`
			Contract string `json:"contract"`
			Decimals int    `json:"decimals"`
		} `json:"assets"`
	} `json:"chains"`
	Keygen struct {
		Parties map[string]string `json:"parties"`
		Schemes []struct {
			Cryptography string `json:"cryptography"`
			T            int    `json:"t"`
			N            int    `json:"n"`
		} `json:"schemes"`
	} `json:"keygen"`
	Limits map[string]map[string][]limit `json:"limits"`
	// Windows hold amounts in base units, or counts.
	Windows map[string]struct {
		Kinds []string `json:"kinds"`
		Chain string   `json:"chain"`
		Asset string   `json:"asset"`
		limit
	} `json:"windows"`
	Addresses map[string]lists `json:"addresses"`
	Hours     map[string]struct {
		Zone string `json:"zone"`
		Open map[string][]struct {
			From int `json:"from"`
			To   int `json:"to"`
		} `json:"open"`
		Holidays map[string]string `json:"holidays"`
	} `json:"hours"`
	Gas map[string]struct {
		Max map[string]struct {
			Base json.Number `json:"base"`
		} `json:"max"`
	} `json:"gas"`
	Contracts map[string]map[string]struct {
		Methods map[string]string `json:"methods"`
	} `json:"contracts"`
	Allowances map[string]map[string]grant `json:"allowances"`
	Evidence   struct {
		Unverifiable map[string]whom `json:"unverifiable"`
	} `json:"evidence"`
	Messages map[string]struct {
		Text []string `json:"text"`
		whom
	} `json:"messages"`
	TypedData map[string]struct {
		PrimaryTypes map[string]bool `json:"primary_types"`
	} `json:"typed_data"`
	Permits map[string]map[string]grant  `json:"permits"`
	Raw     map[string]whom              `json:"raw"`
	PreSign map[string]whom              `json:"pre_sign"`
	UTXO    map[string]map[string]any    `json:"utxo"`
	BRC20   map[string]map[string]brc20  `json:"brc20"`
	Runes   map[string]map[string]runeOf `json:"runes"`
	Taproot map[string]struct {
		ScriptRoots map[string]string `json:"script_roots"`
	} `json:"taproot"`
	Groups map[string]struct {
		Members map[string][]string `json:"members"`
	} `json:"groups"`

	literals policy.Literals
	numbers  []*big.Int // of the literals and of data's custom part
}

type limit struct {
	MaxBase   json.Number `json:"max_base"`
	Approvals []struct {
		AboveBase json.Number `json:"above_base"`
	} `json:"approvals"`
	Wallets []string `json:"wallets"`
	Vaults  []string `json:"vaults"`
}

// thresholds are the amounts at which something changes.
func (l limit) thresholds() []json.Number {
	out := []json.Number{l.MaxBase}
	for _, tier := range l.Approvals {
		out = append(out, tier.AboveBase)
	}
	return out
}

type lists struct {
	AllowAny bool              `json:"allow_any"`
	Allow    map[string]string `json:"allow"`
	Deny     map[string]string `json:"deny"`
	Own      map[string]string `json:"own"`
}

type grant struct {
	Spenders           map[string]string `json:"spenders"`
	MaxBase            json.Number       `json:"max_base"`
	MaxDeadlineSeconds int64             `json:"max_deadline_seconds"`
}

type whom struct {
	Paths      []string `json:"paths"`
	Requesters []string `json:"requesters"`
}

type brc20 struct {
	Decimals int `json:"decimals"`
	Methods  map[string]struct {
		Steps []int `json:"steps"`
		limit
	} `json:"methods"`
}

type runeOf struct {
	SpacedName   string `json:"spaced_name"`
	Symbol       string `json:"symbol"`
	Divisibility int    `json:"divisibility"`
	AmountUnit   string `json:"amount_unit"`
	limit
}

var (
	keyID     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	rootKey   = regexp.MustCompile(`^0[23][0-9a-f]{64}$`)
	numberKey = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
)

func newWorld(e *policy.Engine) (*world, error) {
	w := &world{}
	document := e.DataDocument()
	if err := json.Unmarshal(document, w); err != nil {
		return nil, fmt.Errorf("read the policy's data: %w", err)
	}
	var err error
	if w.literals, err = e.Literals(); err != nil {
		return nil, fmt.Errorf("read the policy's literals: %w", err)
	}
	for _, n := range w.literals.Numbers {
		w.number(string(n))
	}
	var own struct {
		Custom any `json:"custom"`
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&own); err != nil {
		return nil, fmt.Errorf("read the policy's data: %w", err)
	}
	w.custom(own.Custom)
	return w, nil
}

// custom takes what stands in the part of data that is the team's own.
func (w *world) custom(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sorted(v) {
			w.literals.Strings = append(w.literals.Strings, key)
			w.custom(v[key])
		}
	case []any:
		for _, element := range v {
			w.custom(element)
		}
	case json.Number:
		w.number(string(v))
	case string:
		w.number(v)
		w.literals.Strings = append(w.literals.Strings, v)
	}
}

func (w *world) number(text string) {
	if n, ok := new(big.Int).SetString(text, 10); ok && numberKey.MatchString(text) && len(text) < 60 {
		w.numbers = append(w.numbers, n)
	}
}

// requesters are the key ids that data and rules name.
func (w *world) requesters() []string {
	seen := map[string]bool{}
	add := func(ids []string) {
		for _, id := range ids {
			if keyID.MatchString(id) {
				seen[id] = true
			}
		}
	}
	for _, of := range w.Evidence.Unverifiable {
		add(of.Requesters)
	}
	for _, of := range w.Messages {
		add(of.Requesters)
	}
	for _, grants := range []map[string]whom{w.Raw, w.PreSign} {
		for _, of := range grants {
			add(of.Requesters)
		}
	}
	for _, group := range w.Groups {
		for _, ids := range group.Members {
			add(ids)
		}
	}
	add(w.literals.Strings)
	return slices.Sorted(maps.Keys(seen))
}

// keys are the root public keys that data and rules name.
func (w *world) keys() []string {
	seen := map[string]bool{}
	for _, names := range [][]string{sorted(w.Messages), sorted(w.Raw), sorted(w.PreSign), sorted(w.Taproot), w.literals.Strings} {
		for _, name := range names {
			if rootKey.MatchString(name) {
				seen[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// paths are those that data names.
func (w *world) paths() []string {
	seen := map[string]bool{}
	for _, grants := range []map[string]whom{w.Raw, w.PreSign} {
		for _, of := range grants {
			for _, path := range of.Paths {
				seen[path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// some takes first, middle and last of a list.
func some(list []string) []string {
	if len(list) <= 3 {
		return list
	}
	return []string{list[0], list[len(list)/2], list[len(list)-1]}
}
