package countersign.request_test

import data.countersign.fixtures as f
import data.countersign.rules.request

with_type(type, sign_type) := f.patch(f.patch(f.empty, "/request/request_type", type), "/request/sign_type", sign_type)

test_listed_type_is_allowed if {
	"request.type" in f.ids(request.allow) with input as f.empty with data.request_types as ["sign"]
	count(request.reject) == 0 with input as f.empty with data.request_types as ["sign"]
}

test_other_type_is_rejected if {
	every type in ["keygen", "outcome", "", "SIGN", "sign "] {
		"request.type" in f.ids(request.reject) with input as with_type(type, "1") with data.request_types as ["sign"]
		not "request.type" in f.ids(request.allow) with input as with_type(type, "1") with data.request_types as ["sign"]
	}
}

test_unknown_sign_type_is_rejected if {
	every sign_type in ["", "0", "4", "one"] {
		"request.sign_type" in f.ids(request.reject) with input as with_type("sign", sign_type)
	}
}

test_message_by_schnorr_is_rejected if {
	every type in ["bip340-schnorr-sign", "taproot-sign"] {
		"request.sign_type" in f.ids(request.reject) with input as with_type(type, "2")
	}
	not "request.sign_type" in f.ids(request.reject) with input as with_type("sign", "2")
}

test_message_by_ed25519_is_rejected if {
	eddsa := f.patch(with_type("sign", "2"), "/request/cryptography", "eddsa-ed25519")
	"request.sign_type" in f.ids(request.reject) with input as eddsa
}

test_malformed_body_is_rejected if {
	bad := f.patch(f.empty, "/problems", [{"rule": "request.malformed", "field": "/request_detail/t", "message": "no number"}])
	"request.malformed" in f.ids(request.reject) with input as bad
	not "request.malformed" in f.ids(request.reject) with input as f.empty
}

unknown := f.patch(f.empty, "/unknown_fields", [{"pointer": "/request_detail/new", "value": 1}])

test_unknown_field_is_rejected if {
	"request.unknown_field" in f.ids(request.reject) with input as unknown with data.unknown_fields as []
}

test_listed_unknown_field_is_allowed if {
	not "request.unknown_field" in f.ids(request.reject) with input as unknown
		with data.unknown_fields as ["/request_detail/new"]
}
