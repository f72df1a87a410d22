# METADATA
# title: When requests are approved
# description: The time is input.now; the wall clock's time in a zone follows from it by the tables of time zones.
package countersign.rules.hours

import data.countersign.lib

# holding are the hours of data.json that hold for this request.
holding contains name if {
	some name, hours in data.hours
	some kind in lib.kinds
	kind in hours.kinds
	of_chain(hours)
	of_asset(hours)
}

of_chain(hours) if hours.chain == ""

of_chain(hours) if hours.chain == input.tx.chain

of_asset(hours) if hours.asset == ""

of_asset(hours) if hours.asset == input.tx.asset

now := input.now.unix * 1000000000 if is_number(input.now.unix)

of_day(at, zone) := ((clock[0] * 3600) + (clock[1] * 60)) + clock[2] if clock := time.clock([at, zone])

date(at, zone) := sprintf("%04d-%02d-%02d", time.date([at, zone]))

holiday(hours, at) if is_string(hours.holidays[date(at, hours.zone)])

open contains name if {
	some name in holding
	hours := data.hours[name]
	not holiday(hours, now)
	second := of_day(now, hours.zone)
	some opening in hours.open[time.weekday([now, hours.zone])]
	opening.from <= second
	second < opening.to
}

closed := holding - open

waiting(name) if data.hours[name].outside == "wait"

# opens is how many seconds of the wall clock after today's midnight hours open next, within the next 40 days. Each day is
# looked at by its noon, which no change of clocks moves into another day.
opens[name] := min(starts) if {
	some name in closed
	hours := data.hours[name]
	second := of_day(now, hours.zone)
	starts := [start |
		some day in numbers.range(0, 40)
		noon := now + ((((day * 86400) + 43200) - second) * 1000000000)
		not holiday(hours, noon)
		some opening in hours.open[time.weekday([noon, hours.zone])]
		start := (day * 86400) + opening.from
		start > second
	]
}

# left is how many seconds it is until then. Where clocks change on the way, the wall clock at that time says by how much.
left[name] := wall + turn(start, of_day(now + (wall * 1000000000), zone)) if {
	some name, start in opens
	zone := data.hours[name].zone
	wall := start - of_day(now, zone)
}

# turn is by how much a wall clock that shows second is short of start, of which only the time of the day counts.
turn(start, second) := (((start - second) + 129600) % 86400) - 43200

next(name) := sprintf("%s at %02d:%02d %s", [date(at, zone), clock[0], clock[1], zone]) if {
	zone := data.hours[name].zone
	at := now + (left[name] * 1000000000)
	clock := time.clock([at, zone])
} else := "not within 40 days"

# METADATA
# title: No hours of data.json hold for it
# labels:
#   id: hours.open
allow contains {"id": "hours.open", "message": "no hours of data.json hold for it"} if {
	lib.kind
	count(holding) == 0
}

# METADATA
# title: It is within the hours that data.json hours names
# labels:
#   id: hours.open
allow contains {"id": "hours.open"} if {
	lib.kind
	count(holding) > 0
	count(closed) == 0
}

# METADATA
# title: It is outside of hours
# labels:
#   id: hours.open
reject contains {"id": "hours.open", "message": message} if {
	some name in holding
	not waiting(name)
	name in closed
	message := sprintf("it is outside of the hours %s; they open next: %s", [name, next(name)])
}

# METADATA
# title: It is outside of hours, and waits until they open
# description: A node asks again within an hour at the latest.
# labels:
#   id: hours.open
wait contains {"id": "hours.open", "message": message, "seconds": seconds} if {
	some name in holding
	waiting(name)
	name in closed
	seconds := max([1, min([3600, object.get(left, name, 3600)])])
	message := sprintf("it is outside of the hours %s; they open next: %s", [name, next(name)])
}
