package countersign.keys_test

import data.countersign.fixtures as f
import data.countersign.rules.keys

anyone := {"any_requester": true, "requesters": []}

ops := {"any_requester": false, "requesters": ["ops"]}

says(request, grants) := got if {
	got := {"allow": f.ids(keys.allow), "reject": f.ids(keys.reject)} with input as request
		with data.messages as grants
		with data.raw as {key: object.union(grant, {"any_path": true, "paths": []}) | some key, grant in grants}
		with data.pre_sign as {key: object.union(grant, {"paths": ["m/44/60/0/0/0"]}) | some key, grant in grants}
}

message := f.patch(f.empty, "/request/sign_type", "2")

raw := f.patch(f.empty, "/request/sign_type", "3")

pre_sign := f.patch(f.empty, "/request/request_type", "pre-sign")

cases := {"message.key": message, "raw.key": raw, "pre_sign.key": pre_sign}

test_granted_key_is_allowed if {
	every id, request in cases {
		says(request, {f.key: anyone}) == {"allow": {id}, "reject": set()}
		says(request, {f.key: ops}) == {"allow": {id}, "reject": set()}
	}
}

test_other_key_is_rejected if {
	every id, request in cases {
		says(request, {}) == {"allow": set(), "reject": {id}}
		says(request, {"02": anyone}) == {"allow": set(), "reject": {id}}
	}
}

test_other_requester_is_rejected if {
	every id, request in cases {
		every requester in [null, {"key_id": "eve"}, {"key_id": ""}] {
			says(f.patch(request, "/requester", requester), {f.key: ops}) == {"allow": set(), "reject": {id}}
		}
	}
}

test_digest_without_a_transaction_is_raw if {
	says(f.empty, {}) == {"allow": set(), "reject": {"raw.key"}}
	says(f.empty, {f.key: anyone}).allow == {"raw.key"}
}

test_presigned_signature_is_judged_as_a_signature if {
	request := f.patch(raw, "/request/request_type", "pre-sign-online")
	says(request, {}).reject == {"raw.key"}
}

test_presignature_for_another_path_is_rejected if {
	every path in ["m/44/60/0/0/1", "", "m/44/60/0/0/0/0"] {
		says(f.patch(pre_sign, "/request/path", path), {f.key: anyone}) == {"allow": set(), "reject": {"pre_sign.key"}}
	}
}

test_transaction_is_not_judged if says(f.transfer(1), {}) == {"allow": set(), "reject": set()}

raw_at(paths) := {f.key: object.union(ops, {"any_path": false, "paths": paths})}

raw_allowed(request, grants) if {
	"raw.key" in f.ids(keys.allow) with input as request with data.raw as grants
	count(keys.reject) == 0 with input as request with data.raw as grants
}

raw_rejected(request, grants) if {
	"raw.key" in f.ids(keys.reject) with input as request with data.raw as grants
	count(keys.allow) == 0 with input as request with data.raw as grants
}

test_raw_data_is_allowed_at_listed_paths if {
	raw_allowed(raw, raw_at(["m/44/60/0/0/0"]))
	raw_allowed(raw, raw_at(["m/0", "m/44/60/0/0/0"]))
	raw_rejected(raw, raw_at(["m/44/60/0/0/1"]))
	raw_rejected(raw, raw_at([]))
	raw_rejected(f.patch(raw, "/request/path", ""), raw_at(["m"]))
}

ed25519_key := "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

# Every way to sign raw data takes the same permission.
test_raw_data_of_every_kind_takes_the_permission if {
	every change in [
		{"request_type": "sign", "cryptography": "ecdsa-secp256k1"},
		{"request_type": "bip340-schnorr-sign", "cryptography": "ecdsa-secp256k1"},
		{"request_type": "taproot-sign", "cryptography": "ecdsa-secp256k1"},
		{"request_type": "pre-sign-online", "cryptography": "ecdsa-secp256k1"},
		{"request_type": "sign", "cryptography": "eddsa-ed25519", "public_key": ed25519_key},
	] {
		every sign_type in ["1", "3"] {
			request := object.union(f.empty, {"request": object.union(change, {"sign_type": sign_type})})
			key := request.request.public_key
			raw_rejected(request, {})
			raw_rejected(request, {"02": object.union(ops, {"any_path": true, "paths": []})})
			raw_rejected(f.patch(request, "/requester", {"key_id": "eve"}), {key: object.union(ops, {"any_path": true, "paths": []})})
			raw_allowed(request, {key: object.union(ops, {"any_path": true, "paths": []})})
			raw_allowed(request, {key: object.union(ops, {"any_path": false, "paths": ["m/44/60/0/0/0"]})})
		}
	}
}
