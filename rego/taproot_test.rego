package countersign.taproot_test

import data.countersign.fixtures as f
import data.countersign.rules.taproot

root := "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21"

says(request, keys) := got if {
	got := {"allow": f.ids(taproot.allow), "reject": f.ids(taproot.reject), "require": taproot.require} with input as request
		with data.taproot as keys
		with data.chains as f.chains
}

nothing := {"allow": set(), "reject": set(), "require": set()}

allowed(id) := {"allow": {id}, "reject": set(), "require": {id}}

rejected(id) := {"allow": set(), "reject": {id}, "require": {id}}

listed := {f.key: {"any_script_root": false, "script_roots": {root: "recovery"}, "script_paths": false}}

any_root := {f.key: {"any_script_root": true, "script_roots": {}, "script_paths": false}}

scripts := {f.key: {"any_script_root": false, "script_roots": {}, "script_paths": true}}

of_type(type, tap_script_root) := request if {
	request := f.patch(f.patch(f.payment(1), "/request/request_type", type), "/tx/tap_script_root", tap_script_root)
}

test_key_path_without_a_tree_needs_nothing if says(of_type("taproot-sign", ""), {}) == nothing

test_listed_root_is_allowed if {
	says(of_type("taproot-sign", root), listed) == allowed("taproot.script_root")
	says(of_type("taproot-sign", root), any_root) == allowed("taproot.script_root")
}

test_other_root_is_rejected if {
	every keys in [{}, scripts, {"02": any_root[f.key]}] {
		says(of_type("taproot-sign", root), keys) == rejected("taproot.script_root")
	}
	other := sprintf("%s00", [substring(root, 0, 62)])
	says(of_type("taproot-sign", other), listed) == rejected("taproot.script_root")
}

# The tweak is the same whatever is signed under it.
test_root_is_judged_for_raw_data_too if {
	request := f.patch(of_type("taproot-sign", root), "/request/sign_type", "3")
	says(request, {}) == rejected("taproot.script_root")
	says(request, listed) == allowed("taproot.script_root")
}

script_spend(type) := f.patch(of_type(type, ""), "/utxo/spend", "script")

rune := [{"id": "2818544:3897", "to": f.recipient}]

test_script_for_nothing_is_rejected if {
	every type in ["bip340-schnorr-sign", "sign"] {
		says(script_spend(type), {}) == rejected("taproot.script_path")
		says(script_spend(type), any_root) == rejected("taproot.script_path")
		says(script_spend(type), scripts) == allowed("taproot.script_path")
	}
}

revealing := {"bitcoin": {"leaf_script": "00", "inscription": {"op": "transfer"}}}

checksig := sprintf("20%sac", [root])

test_script_that_reveals_an_inscription_is_allowed if {
	request := f.patch(script_spend("bip340-schnorr-sign"), "/evidence/decoded", revealing)
	says(f.patch(request, "/brc20", rune), {}) == allowed("taproot.script_path")
	says(request, {}) == rejected("taproot.script_path")
}

test_script_that_asks_for_this_signature_alone_is_allowed if {
	says(f.patch(script_spend("bip340-schnorr-sign"), "/evidence/decoded", {"bitcoin": {"leaf_script": checksig}}), {}) == allowed("taproot.script_path")
	every script in ["", "ac", sprintf("%s00", [checksig]), sprintf("51%s", [checksig]), sprintf("21%sac", [root])] {
		request := f.patch(script_spend("bip340-schnorr-sign"), "/evidence/decoded", {"bitcoin": {"leaf_script": script}})
		says(request, {}) == rejected("taproot.script_path")
	}
}

# A runestone may move what the inputs do not hold, beside any script.
test_script_beside_a_runestone_is_rejected if {
	says(f.patch(script_spend("bip340-schnorr-sign"), "/runes", rune), {}) == rejected("taproot.script_path")
}

test_script_for_tokens_on_trust_is_rejected if {
	request := f.on_trust(f.patch(of_type("bip340-schnorr-sign", ""), "/runes", rune))
	says(request, {}) == rejected("taproot.script_path")
	says(request, scripts) == allowed("taproot.script_path")
	slipped := f.patch(f.patch(script_spend("bip340-schnorr-sign"), "/runes", rune), "/utxo/source", "claim")
	says(slipped, {}) == rejected("taproot.script_path")
}

# An untweaked key is one in a script, unless evidence says otherwise.
test_untweaked_key_without_evidence_signs_for_a_script if {
	says(f.on_trust(of_type("bip340-schnorr-sign", "")), {}) == rejected("taproot.script_path")
	says(of_type("bip340-schnorr-sign", ""), {}) == nothing
	claimed := f.patch(of_type("bip340-schnorr-sign", ""), "/utxo/source", "claim")
	says(claimed, {}) == rejected("taproot.script_path")
	says(f.patch(of_type("bip340-schnorr-sign", ""), "/utxo", null), {}) == rejected("taproot.script_path")
}

test_transactions_of_accounts_are_not_judged if says(f.transfer(1), {}).reject == set()

test_what_signs_nothing_is_not_judged if {
	every type in ["keygen", "refresh", "pre-sign"] {
		says(of_type(type, root), {}) == nothing
	}
}

# Raw data is no transaction: it takes a permission of its own.
test_raw_data_is_not_judged_as_a_script if {
	every type in ["sign", "bip340-schnorr-sign"] {
		says(f.patch(script_spend(type), "/request/sign_type", "3"), {}) == nothing
		says(f.patch(f.on_trust(of_type(type, "")), "/request/sign_type", "3"), {}) == nothing
	}
}

test_other_requests_without_evidence_sign_for_keys if {
	every type in ["sign", "taproot-sign"] {
		says(f.on_trust(of_type(type, "")), {}) == nothing
	}
}

test_untweaked_key_of_which_evidence_does_not_say_signs_for_a_script if {
	says(f.patch(of_type("bip340-schnorr-sign", ""), "/utxo/spend", ""), {}) == rejected("taproot.script_path")
}

test_tokens_that_evidence_does_not_vouch_for_are_none if {
	every status in ["unverifiable", "mismatch", ""] {
		request := f.patch(f.patch(script_spend("bip340-schnorr-sign"), "/runes", rune), "/evidence/status", status)
		says(request, {}) == rejected("taproot.script_path")
	}
}
