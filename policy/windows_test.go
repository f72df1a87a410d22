package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

func withWindows(w object) object {
	data := demoData()
	set(data, "windows", w)
	set(data, "unbound_wallets", true)
	return data
}

var dayWindow = object{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "calendar": "day", "zone": "Asia/Shanghai", "max": "10000"}

func TestWindowFaults(t *testing.T) {
	edit := func(key string, value any) object {
		w := object{}
		for k, v := range dayWindow {
			w[k] = v
		}
		if value == nil {
			delete(w, key)
		} else {
			w[key] = value
		}
		return w
	}
	for name, c := range map[string]struct {
		window object
		words  []string
	}{
		"measure":            {edit("measure", "sum"), []string{"at /windows/w/measure", "amount"}},
		"no asset":           {edit("asset", nil), []string{"at /windows/w:", "needs chain and asset"}},
		"unknown chain":      {edit("chain", "DOGE"), []string{"at /windows/w/chain", "DOGE"}},
		"unknown asset":      {edit("asset", "DAI"), []string{"at /windows/w/asset", "DAI"}},
		"kinds":              {edit("kinds", []string{"outcome"}), []string{"at /windows/w/kinds/0"}},
		"amounts of keygens": {edit("kinds", []string{"keygen"}), []string{"transactions only"}},
		"wallet of a keygen": {object{"measure": "count", "scope": []string{"wallet"}, "kinds": []string{"keygen"}, "lifetime": true, "max": "1"}, []string{"at /windows/w/scope", "wallet"}},
		"key of a keygen":    {object{"measure": "count", "scope": []string{"key"}, "kinds": []string{"raw", "keygen"}, "lifetime": true, "max": "1"}, []string{"at /windows/w/scope", "a keygen has no key"}},
		"approvals of none": {object{"measure": "count", "kinds": []string{"message", "pre_sign"}, "lifetime": true, "max": "2", "approvals": []object{
			{"above": "1", "group": "treasury", "threshold": 1, "expiry_seconds": 60},
		}}, []string{"at /windows/w/approvals", "to be signed"}},
		"amounts of raw":     {edit("kinds", []string{"transaction", "raw"}), []string{"transactions only"}},
		"scope":              {edit("scope", []string{"moon"}), []string{"at /windows/w/scope", "moon"}},
		"scope twice":        {edit("scope", []string{"wallet", "wallet"}), []string{"twice"}},
		"no period":          {edit("calendar", nil), []string{"at /windows/w:", "one of rolling_seconds"}},
		"two periods":        {edit("rolling_seconds", 60), []string{"one of rolling_seconds"}},
		"unit":               {edit("calendar", "year"), []string{"at /windows/w/calendar", "year"}},
		"zone":               {edit("zone", "Mars/Olympus"), []string{"at /windows/w/zone", "Mars"}},
		"local zone":         {edit("zone", "Local"), []string{"at /windows/w/zone"}},
		"max":                {edit("max", "10000.0000001"), []string{"at /windows/w/max"}},
		"no max":             {edit("max", nil), []string{"at /windows/w/max"}},
		"zone of no day":     {object{"measure": "count", "rolling_seconds": 60, "zone": "UTC", "max": "1"}, []string{"at /windows/w/zone"}},
		"too long":           {object{"measure": "count", "rolling_seconds": 1 << 40, "max": "1"}, []string{"at /windows/w/rolling_seconds"}},
		"negative":           {object{"measure": "count", "rolling_seconds": -1, "max": "1"}, []string{"at /windows/w/rolling_seconds"}},
		"half a count":       {object{"measure": "count", "lifetime": true, "max": "1.5"}, []string{"at /windows/w/max", "whole"}},
		"asset of no chain":  {object{"measure": "count", "asset": "ETH", "lifetime": true, "max": "1"}, []string{"at /windows/w/asset"}},
		"chain of a message": {object{"measure": "count", "chain": "ETH", "kinds": []string{"message"}, "lifetime": true, "max": "1"}, []string{"at /windows/w/chain"}},
		"wallet of raw data": {object{"measure": "count", "scope": []string{"wallet"}, "kinds": []string{"raw"}, "lifetime": true, "max": "1"}, []string{"at /windows/w/scope", "wallet"}},
		"unknown key":        {edit("length", 1), []string{"at /windows/w/length"}},
	} {
		_, err := parse(t, withWindows(object{"w": c.window}))
		t.Run(name, func(t *testing.T) { wantError(t, err, c.words...) })
	}
}

func TestCharges(t *testing.T) {
	e := newEngine(t, withWindows(object{
		"day":   dayWindow,
		"month": object{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "calendar": "month", "max": "100000"},
		"all":   object{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "lifetime": true, "max": "1000000"},
		"ether": object{"measure": "amount", "chain": "ETH", "asset": "ETH", "lifetime": true, "max": "1"},
		"often": object{"measure": "count", "kinds": []string{"transaction", "message", "raw"}, "scope": []string{"path", "key"}, "rolling_seconds": 60, "max": "5"},
	}))
	in := transfer(e, "6000000000")
	in.Tx.WalletID = "w1"
	charges := e.Charges(&in)
	got := map[string]string{}
	for _, c := range charges {
		for _, w := range c.Windows {
			got[w.ID] = c.Amount.String()
		}
	}
	want := map[string]string{"day": "6000000000", "month": "6000000000", "all": "6000000000", "often": "1"}
	if len(charges) != 3 || len(got) != len(want) || len(in.Problems) != 0 {
		t.Fatalf("charges are %+v, problems %v", charges, in.Problems)
	}
	for id, amount := range want {
		if got[id] != amount {
			t.Errorf("window %s counts %s, want %s", id, got[id], amount)
		}
	}

	other := transfer(e, "1")
	other.Tx.WalletID = "w2"
	for i, c := range e.Charges(&other) {
		shared := c.Series == charges[i].Series
		if shared != !strings.Contains(c.Series, "wallet") {
			t.Errorf("series %s of another wallet is shared: %v", c.Series, shared)
		}
	}
	missing := transfer(e, "1")
	missing.Tx.WalletID = ""
	e.Charges(&missing)
	if len(missing.Problems) != 2 || missing.Problems[0].Rule != policy.RuleWindowScope || missing.Problems[0].Field != "wallet" {
		t.Errorf("without a wallet the problems are %+v", missing.Problems)
	}
	raw := transfer(e, "1")
	raw.Request.SignType = "3"
	if c := e.Charges(&raw); len(c) != 1 || c[0].Windows[0].ID != "often" {
		t.Errorf("raw data is counted in %+v", c)
	}
	for _, of := range []string{"keygen", "refresh", "reshare", "pre-sign", "outcome"} {
		session := transfer(e, "1")
		session.Request.RequestType = of
		if c := e.Charges(&session); len(c) != 0 {
			t.Errorf("a %s is counted in %+v", of, c)
		}
	}
}

// TestChargesOfSessions: a window of a kind counts all requests of that kind, and nothing else.
func TestChargesOfSessions(t *testing.T) {
	e := newEngine(t, withWindows(object{
		"keys":   object{"measure": "count", "kinds": []string{"keygen"}, "lifetime": true, "max": "1"},
		"nonces": object{"measure": "count", "kinds": []string{"pre_sign", "raw"}, "scope": []string{"key"}, "lifetime": true, "max": "1"},
	}))
	for of, want := range map[string]string{
		"keygen": "keys", "refresh": "keys", "reshare": "keys", "pre-sign": "nonces", "pre-sign-online": "", "sign": "", "outcome": "",
	} {
		in := transfer(e, "1")
		in.Request.RequestType = of
		if c := e.Charges(&in); len(c) != min(len(want), 1) || want != "" && (len(c[0].Windows) != 1 || c[0].Windows[0].ID != want || c[0].Amount.String() != "1") {
			t.Errorf("%s is counted in %+v, want %q", of, c, want)
		}
	}
	in := transfer(e, "1")
	in.Request.RequestType, in.Request.PublicKey = "pre-sign", ""
	if c := e.Charges(&in); len(c) != 0 || len(in.Problems) != 1 || in.Problems[0].Field != "key" {
		t.Errorf("a key is missing, and it is counted in %+v, problems %v", c, in.Problems)
	}
}

// The decision of a transfer follows the state of its windows, and one whose state is missing is not approved.
func TestWindowDecides(t *testing.T) {
	e := newEngine(t, withWindows(object{"all": object{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "lifetime": true, "max": "10000"}}))
	for after, want := range map[string]string{"10000000000": "Approve", "10000000001": "Reject", "": "Reject"} {
		in := transfer(e, "1000000")
		if after != "" {
			in.Windows = map[string]policy.Window{"all": {Used: "0", Reserved: "0", After: json.Number(after)}}
		}
		d, err := e.Evaluate(t.Context(), in)
		if err != nil || string(d.Action) != want {
			t.Errorf("after %q: %s %v %v, want %s", after, d.Action, d.Reasons, err, want)
		}
	}
}
