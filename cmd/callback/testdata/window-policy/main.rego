package countersign

decision := {"allow": allow, "reject": reject, "wait": set(), "require": {"window.room"}}

# METADATA
# title: The window has room
# labels:
#   id: window.room
allow contains {"id": "window.room"} if input.windows.few.after <= data.windows.few.max_base

# METADATA
# title: The window is full
# labels:
#   id: window.max
reject contains {"id": "window.max", "message": message} if {
	input.windows.few.after > data.windows.few.max_base
	message := sprintf("window few would come to %d, and its maximum is %d", [input.windows.few.after, data.windows.few.max_base])
}
