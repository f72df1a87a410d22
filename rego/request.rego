# METADATA
# title: What may be asked at all
package countersign.rules.request

import data.countersign.lib

known_type if input.request.request_type in data.request_types

# METADATA
# title: The request type is one of data.json request_types
# labels:
#   id: request.type
allow contains {"id": "request.type"} if known_type

# METADATA
# title: The request type is not one of data.json request_types
# labels:
#   id: request.type
reject contains {"id": "request.type", "message": message} if {
	not known_type
	message := sprintf("request_type %q is not allowed", [input.request.request_type])
}

# METADATA
# title: A signature is of type 1, 2 or 3
# labels:
#   id: request.sign_type
reject contains {"id": "request.sign_type", "message": message} if {
	lib.signing
	not input.request.sign_type in {"1", "2", "3"}
	message := sprintf("sign_type %q is not 1, 2 or 3", [input.request.sign_type])
}

# METADATA
# title: Messages are signed by ECDSA sign requests only
# labels:
#   id: request.sign_type
reject contains {"id": "request.sign_type", "message": message} if {
	input.request.sign_type == "2"
	input.request.request_type in {"bip340-schnorr-sign", "taproot-sign"}
	message := sprintf("sign_type 2 is for ECDSA sign requests, not for %s", [input.request.request_type])
}

# METADATA
# title: Messages are signed by ECDSA sign requests only
# labels:
#   id: request.sign_type
reject contains {"id": "request.sign_type", "message": "sign_type 2 is for ECDSA keys, not for eddsa-ed25519"} if {
	input.request.sign_type == "2"
	input.request.cryptography == "eddsa-ed25519"
}

# METADATA
# title: The body cannot be judged
# labels:
#   id: request.malformed
reject contains {"id": "request.malformed", "message": message} if {
	some problem in input.problems
	not problem.rule == "window.scope"
	message := sprintf("%s: %s", [problem.field, problem.message])
}

# METADATA
# title: A field that nobody knows means something to somebody
# labels:
#   id: request.unknown_field
reject contains {"id": "request.unknown_field", "message": message} if {
	some field in input.unknown_fields
	not field.pointer in data.unknown_fields
	message := sprintf("%q is not a known field, nor one of data.json unknown_fields", [field.pointer])
}
