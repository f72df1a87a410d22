package countersign.hours_test

import data.countersign.fixtures as f
import data.countersign.rules.hours

morning := {"from": 32400, "to": 43200}

afternoon := {"from": 46800, "to": 63000}

days := {day: [morning, afternoon] | some day in ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]}

office := {
	"kinds": ["transaction", "keygen"],
	"chain": "",
	"asset": "",
	"zone": "Europe/Zurich",
	"open": days,
	"holidays": {"2027-01-18": "a Monday"},
	"outside": "wait",
}

says(request, schedule) := got if {
	got := {
		"allow": f.ids(hours.allow),
		"reject": f.ids(hours.reject),
		"wait": {say.seconds | some say in hours.wait},
	} with input as request
		with data.hours as schedule
}

open := {"allow": {"hours.open"}, "reject": set(), "wait": set()}

closed(seconds) := {"allow": set(), "reject": set(), "wait": {seconds}}

transfer(unix) := f.patch(f.transfer(1), "/now", {"unix": unix, "rfc3339": ""})

# 1800000000 is Friday, 2027-01-15T08:00:00Z, 09:00 in Zurich.
friday := 1800000000

test_no_hours_are_always_open if says(transfer(friday), {}) == open

test_within_the_hours_it_is_open if {
	every second in [0, 1, 10799, 14400, 30599] {
		says(transfer(friday + second), {"office": office}) == open
	}
}

test_outside_it_waits_until_they_open if {
	says(transfer(friday - 1), {"office": office}) == closed(1)
	says(transfer(friday - 3599), {"office": office}) == closed(3599)
	says(transfer(friday - 7200), {"office": office}) == closed(3600)
	says(transfer(friday + 10800), {"office": office}) == closed(3600)
	says(transfer(friday + 10801), {"office": office}) == closed(3599)
	says(transfer(friday + 30600), {"office": office}) == closed(3600)
}

test_outside_it_is_rejected if {
	strict := {"office": object.union(office, {"outside": "reject"})}
	says(transfer(friday - 1), strict) == {"allow": set(), "reject": {"hours.open"}, "wait": set()}
	says(transfer(friday), strict) == open
	unknown := {"office": object.remove(office, ["outside"])}
	says(transfer(friday - 1), unknown).reject == {"hours.open"}
}

# Monday the 18th is a holiday, so that after Friday comes Tuesday.
test_holiday_is_closed if {
	monday := friday + ((3 * 86400) + 60)
	says(transfer(monday), {"office": office}) == closed(3600)
	some say in hours.wait with input as transfer(friday + 40000) with data.hours as {"office": office}
	contains(say.message, "2027-01-19 at 09:00 Europe/Zurich")
}

test_hours_that_do_not_open_again if {
	never := object.union(office, {"holidays": {}, "outside": "wait"})
	empty := {"office": object.union(object.remove(never, ["open"]), {"open": {}})}
	says(transfer(friday), empty) == closed(3600)
	some say in hours.wait with input as transfer(friday) with data.hours as empty
	contains(say.message, "not within 40 days")
}

# On 2027-03-28 the clocks of Zurich go from 02:00 to 03:00, and on 2027-10-31 back.
test_change_of_clocks_on_the_way if {
	night := {"office": object.union(object.remove(office, ["open"]), {"open": {"Sunday": [{"from": 14400, "to": 18000}]}})}
	says(transfer(1806195600 - 1800), night) == closed(3600) # 00:30Z is 01:30; 04:00 is 02:00Z
	says(transfer(1806197400), night) == closed(1800 + 0) # 01:30Z is 03:30
	every second in [0, 3599] {
		says(transfer(1806199200 + second), night) == open
	}
	early := {"office": object.union(object.remove(office, ["open"]), {"open": {"Sunday": [{"from": 10800, "to": 18000}]}})}
	says(transfer(1806195600 - 1800), early) == closed(1800) # at 01:30, and 03:00 follows on 01:59
	says(transfer(1824944400 - 1800), early) == closed(3600) # at 02:30 for the first time: 03:00 is an hour and a half away
	some say in hours.wait with input as transfer(1824944400 - 1800) with data.hours as early
	contains(say.message, "2027-10-31 at 03:00")
}

test_all_hours_hold if {
	late := object.union(office, {"open": {"Friday": [{"from": 36000, "to": 43200}]}})
	says(transfer(friday), {"office": office, "late": late}) == closed(3600)
	says(transfer(friday + 3600), {"office": office, "late": late}) == open
}

test_hours_of_others_do_not_hold if {
	shut := object.union(office, {"outside": "reject"})
	every change in [{"kinds": ["raw"]}, {"chain": "BTC"}, {"chain": "ETH", "asset": "ETH"}] {
		says(transfer(friday - 1), {"office": object.union(shut, change)}) == open
	}
	every change in [{"chain": "ETH"}, {"chain": "ETH", "asset": "USDT_ETH"}] {
		says(transfer(friday - 1), {"office": object.union(shut, change)}).reject == {"hours.open"}
	}
	says(f.patch(f.keygen, "/now/unix", friday - 1), {"office": shut}).reject == {"hours.open"}
}

test_without_a_time_nothing_is_open if {
	every now in [null, {}, {"unix": null}, {"unix": "1800000000"}] {
		says(f.patch(f.transfer(1), "/now", now), {"office": office}).allow == set()
		says(f.patch(f.transfer(1), "/now", now), {"office": office}).wait == {3600}
	}
}
