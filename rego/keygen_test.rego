package countersign.keygen_test

import data.countersign.fixtures as f
import data.countersign.rules.keygen

rules := {
	"parties": {"sinoA": "a", "sinoB": "b", "sinoC": ""},
	"schemes": [{"cryptography": "ecdsa-secp256k1", "t": 3, "n": 3}, {"cryptography": "eddsa-ed25519", "t": 2, "n": 3}],
}

says(request) := got if {
	got := {"allow": f.ids(keygen.allow), "reject": f.ids(keygen.reject)} with input as request
		with data.keygen as rules
}

both := {"keygen.parties", "keygen.scheme"}

test_known_parties_are_allowed if says(f.keygen) == {"allow": both, "reject": set()}

test_refresh_and_reshare_are_judged_alike if {
	every type in ["refresh", "reshare"] {
		request := f.patch(f.keygen, "/request/request_type", type)
		says(request) == {"allow": both, "reject": set()}
		"keygen.parties" in says(f.patch(request, "/request/party_ids/0", "sinoX")).reject
	}
}

test_stranger_is_rejected if {
	says(f.patch(f.keygen, "/request/party_ids/2", "sinoX")).reject == {"keygen.parties"}
}

# Party ids are compared as opaque strings.
test_nearly_the_same_party_is_rejected if {
	every id in ["sinoa", "sinoA ", "", "sino"] {
		"keygen.parties" in says(json.patch(f.keygen, [{"op": "replace", "path": "/request/party_ids/0", "value": id}])).reject
	}
}

test_party_named_twice_is_rejected if {
	request := json.patch(f.keygen, [{"op": "replace", "path": "/request/party_ids/2", "value": "sinoA"}])
	says(request).reject == {"keygen.parties"}
	not "keygen.parties" in says(request).allow
}

test_too_few_parties_are_rejected if {
	"keygen.parties" in says(f.patch(f.keygen, "/request/party_ids", ["sinoA", "sinoB"])).reject
	"keygen.parties" in says(f.patch(f.keygen, "/request/party_ids", [])).reject
}

test_other_scheme_is_rejected if {
	every change in [["/request/t", 2], ["/request/cryptography", "eddsa-ed25519"], ["/request/cryptography", ""]] {
		got := says(f.patch(f.keygen, change[0], change[1]))
		got.reject == {"keygen.scheme"}
		not "keygen.scheme" in got.allow
	}
}

test_signing_is_not_judged if says(f.transfer(1)) == {"allow": set(), "reject": set()}

# Two of three is a scheme like any other, of either curve, and only where data.json has it.
test_schemes_are_those_of_data if {
	schemes := [s | some curve in ["ecdsa-secp256k1", "eddsa-ed25519"]; some t in [2, 3]; s := {"cryptography": curve, "t": t, "n": 3}]
	every allowed in schemes {
		approved := {asked | some asked in schemes; "keygen.scheme" in scheme_says(asked, allowed).allow}
		rejected := {asked | some asked in schemes; "keygen.scheme" in scheme_says(asked, allowed).reject}
		approved == {allowed}
		rejected == {asked | some asked in schemes} - {allowed}
	}
}

scheme_says(asked, allowed) := got if {
	got := {"allow": f.ids(keygen.allow), "reject": f.ids(keygen.reject)} with input as object.union(f.keygen, {"request": asked})
		with data.keygen as {"parties": rules.parties, "schemes": [allowed]}
}
