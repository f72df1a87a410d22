# METADATA
# title: Which messages a key may sign
# description: |
#   Text by patterns, typed data by domain and primary type. What gives somebody power over tokens is held to data.json
#   permits, whatever allows the message.
package countersign.rules.messages

import data.countersign.lib

# Rules begin with input.request.sign_type, by which OPA's index leaves them out for other requests; what is required does not, so that
# nothing is lost with it.

message := input.message if lib.message

grant := data.messages[input.request.public_key] if lib.message

content if {
	message.kind == "text"
	some pattern in grant.text
	regex.match(pattern, message.text)
}

content if {
	message.kind == "bytes"
	grant.bytes == true
}

content if {
	message.kind == "typed_data"
	listed := data.typed_data[message.domain]
	listed.primary_types[message.primary_type] == true
	grant.typed_data[listed.name] == true
}

# METADATA
# title: data.json messages allows the message
# labels:
#   id: message.content
allow contains {"id": "message.content"} if {
	input.request.sign_type == "2"
	content
}

# METADATA
# title: data.json messages does not allow the message
# labels:
#   id: message.content
reject contains {"id": "message.content", "message": text} if {
	input.request.sign_type == "2"
	lib.message
	not content
	text := sprintf("data.json messages does not allow key %q to sign %s", [input.request.public_key, what])
}

what := "text of this form" if {
	message.kind == "text"
} else := "bytes" if {
	message.kind == "bytes"
} else := sprintf("type %q of domain %s", [message.primary_type, message.domain]) if {
	message.kind == "typed_data"
} else := "what was not described"

limit(permit) := data.permits[permit.chain][permit.asset]

spender(permit) if is_string(limit(permit).spenders[permit.spender])

value(permit) if {
	permit.unlimited == false
	is_number(permit.value_base)
	permit.value_base <= limit(permit).max_base
}

value(permit) if {
	permit.unlimited == true
	limit(permit).unlimited == true
}

deadline(permit) if {
	is_number(permit.deadline_unix)
	permit.deadline_unix <= input.now.unix + limit(permit).max_deadline_seconds
}

# METADATA
# title: The message gives nobody power over tokens
# labels:
#   id: message.permit
allow contains {"id": "message.permit"} if {
	input.request.sign_type == "2"
	message.grants == false
	count(message.permits) == 0
}

# METADATA
# title: The power over tokens that the message gives is within data.json permits
# labels:
#   id: message.permit
allow contains {"id": "message.permit", "message": "within data.json permits"} if {
	input.request.sign_type == "2"
	count(message.permits) > 0
	every permit in message.permits {
		spender(permit)
		value(permit)
		deadline(permit)
	}
}

# METADATA
# title: The message gives power over tokens in a form that is not read
# labels:
#   id: message.permit
reject contains {"id": "message.permit", "message": text} if {
	input.request.sign_type == "2"
	message.grants == true
	count(message.permits) == 0
	text := sprintf("%q gives power over tokens in a form that cannot be held against limits", [message.primary_type])
}

# METADATA
# title: There are no permits for the token in data.json
# labels:
#   id: message.permit.token
reject contains {"id": "message.permit.token", "message": text} if {
	input.request.sign_type == "2"
	some permit in message.permits
	not limit(permit)
	text := sprintf("data.json permits has nothing for token %q", [permit.token])
}

# METADATA
# title: The spender is not one of data.json permits
# labels:
#   id: message.permit.spender
reject contains {"id": "message.permit.spender", "message": text} if {
	input.request.sign_type == "2"
	some permit in message.permits
	limit(permit)
	not spender(permit)
	text := sprintf("%q may not be given power over %s", [permit.spender, permit.asset])
}

# METADATA
# title: The permit is over its limit
# labels:
#   id: message.permit.max
reject contains {"id": "message.permit.max", "message": text} if {
	input.request.sign_type == "2"
	some permit in message.permits
	permit.unlimited == false
	limit(permit)
	not value(permit)
	text := sprintf("%v base units are more than the %s of %s that a permit may be for", [permit.value_base, limit(permit).max, permit.asset])
}

# METADATA
# title: The permit has no limit
# labels:
#   id: message.permit.unlimited
reject contains {"id": "message.permit.unlimited", "message": text} if {
	input.request.sign_type == "2"
	some permit in message.permits
	permit.unlimited == true
	limit(permit)
	not value(permit)
	text := sprintf("a value that stands for no limit is not allowed for %s", [permit.asset])
}

# METADATA
# title: The permit is good for too long
# labels:
#   id: message.permit.deadline
reject contains {"id": "message.permit.deadline", "message": text} if {
	input.request.sign_type == "2"
	some permit in message.permits
	limit(permit)
	not deadline(permit)
	text := sprintf("a permit for %s is good for at most %d seconds", [permit.asset, limit(permit).max_deadline_seconds])
}

# METADATA
# title: Who would be given power over tokens is denied
# labels:
#   id: message.permit.denied
reject contains {"id": "message.permit.denied", "message": text} if {
	input.request.sign_type == "2"
	some permit in message.permits
	why := data.addresses[permit.chain].deny[permit.spender]
	text := sprintf("address %q is denied: %s", [permit.spender, why])
}
