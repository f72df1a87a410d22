# METADATA
# title: How much may move, and how often, within a stretch of time
package countersign.rules.windows

import data.countersign.lib

# counted are the windows of data.json that count this request. The server adds the state of each to the input.
counted contains id if {
	some id, window in data.windows
	some kind in lib.kinds
	kind in window.kinds
	of_chain(window)
	of_asset(window)
}

of_chain(window) if window.chain == ""

of_chain(window) if window.chain == input.tx.chain

of_asset(window) if window.asset == ""

of_asset(window) if {
	window.token == ""
	window.asset == input.tx.asset
}

# A ticker or a rune counts all entries of the request that move it.
of_asset(window) if {
	window.token == "brc20"
	some entry in input.brc20
	entry.ticker == window.asset
}

of_asset(window) if {
	window.token == "runes"
	some entry in input.runes
	entry.id == window.asset
}

# METADATA
# title: No window would come to more than its maximum
# labels:
#   id: window.max
allow contains {"id": "window.max"} if {
	every id in counted {
		is_number(input.windows[id].after)
		input.windows[id].after <= data.windows[id].max_base
	}
}

# METADATA
# title: A window would come to more than its maximum
# labels:
#   id: window.max
reject contains {"id": "window.max", "message": message} if {
	some id in counted
	is_number(input.windows[id].after)
	input.windows[id].after > data.windows[id].max_base
	message := sprintf(
		"window %s would come to %s, and its maximum is %s (%s)",
		[id, format_int(input.windows[id].after, 10), format_int(data.windows[id].max_base, 10), data.windows[id].max],
	)
}

# METADATA
# title: The request lacks what a window counts by
# labels:
#   id: window.scope
reject contains {"id": "window.scope", "message": message} if {
	some problem in input.problems
	problem.rule == "window.scope"
	message := sprintf("%s: %s", [problem.field, problem.message])
}
