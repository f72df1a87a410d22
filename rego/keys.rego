# METADATA
# title: What a key may sign besides transactions
# description: Messages, raw data and presignatures are off unless data.json names the key and who may ask.
package countersign.rules.keys

import data.countersign.lib

message_key if lib.granted(data.messages[input.request.public_key])

raw_key if {
	grant := data.raw[input.request.public_key]
	raw_path(grant)
	lib.granted(grant)
}

raw_path(grant) if grant.any_path == true

raw_path(grant) if input.request.path in grant.paths

pre_sign_key if {
	grant := data.pre_sign[input.request.public_key]
	input.request.path in grant.paths
	lib.granted(grant)
}

# METADATA
# title: The key may sign messages
# labels:
#   id: message.key
allow contains {"id": "message.key"} if {
	lib.message
	message_key
}

# METADATA
# title: The key may not sign messages
# labels:
#   id: message.key
reject contains {"id": "message.key", "message": message} if {
	lib.message
	not message_key
	message := sprintf("data.json messages does not allow this requester to sign messages with key %q", [input.request.public_key])
}

# METADATA
# title: The key may sign raw data
# labels:
#   id: raw.key
allow contains {"id": "raw.key"} if {
	lib.kind == "raw"
	raw_key
}

# METADATA
# title: The key may not sign raw data
# labels:
#   id: raw.key
reject contains {"id": "raw.key", "message": message} if {
	lib.kind == "raw"
	not raw_key
	message := sprintf(
		"data.json raw does not allow this requester to sign raw data with key %q, path %q",
		[input.request.public_key, input.request.path],
	)
}

# METADATA
# title: Presignatures may be made for the key and path
# labels:
#   id: pre_sign.key
allow contains {"id": "pre_sign.key"} if {
	lib.kind == "pre_sign"
	pre_sign_key
}

# METADATA
# title: Presignatures may not be made for the key and path
# labels:
#   id: pre_sign.key
reject contains {"id": "pre_sign.key", "message": message} if {
	lib.kind == "pre_sign"
	not pre_sign_key
	message := sprintf(
		"data.json pre_sign does not allow this requester to prepare signatures of key %q, path %q",
		[input.request.public_key, input.request.path],
	)
}
